"""What wants a person: deliveries, builds and releases that are not as they should be, each with the command
that mends it; and what is due of a night."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

from parc import routing
from parc.build import seeds
from parc.build.build import BUILD_LOCK
from parc.errors import ParcError
from parc.feeds import FEEDS, Keeping
from parc.routing import audit
from parc.routing.night import newest_business_date
from parc.routing.release import LOCK as ROUTING_LOCK
from parc.routing.state import effective_date, horizon
from parc.settings import Settings
from parc.warehouse import connect
from parc.warehouse.schema import pending_migrations

PARIS = ZoneInfo("Europe/Paris")
NEEDED_BYTES = 2 * 1024**3
QUARANTINE_NIGHTS = 7
QUARANTINE_SHARE = 0.5
"""Share of a feed's reject limit from which rejected rows are worth a look."""
NAMES_TOLD = 5

State = Literal["due", "loading", "published", "refused", "missing"]


@dataclass(frozen=True)
class Matter:
    """One thing that wants a person. `is_wrong`: something failed, or a figure is not what it should be; else
    it waits for a decision or is worth a look. `command` mends it, dates and names filled in; empty where
    there is nothing to do but know."""

    kind: str
    is_wrong: bool
    subject: str
    what: str
    command: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.what}" + (f"; {self.command}" if self.command else "")


@dataclass(frozen=True)
class Due:
    """A delivery that the calendar expects of a night, and what became of it. `due_at` is UTC; `detail` says
    how many rows, or why it was refused. Where a snapshot (not `is_daily`) has not come, the one before it
    stays in force."""

    feed: str
    business_date: date
    due_at: datetime
    is_daily: bool
    state: State
    detail: str


def matters(settings: Settings, *, plan_for: date | None = None) -> list[Matter]:
    """Everything that wants a person, in the order in which one would mend it; empty when all is well.

    `plan_for` is a business date whose release is planned, which takes seconds, to tell whether it waits for
    approval or would be refused; without it only what is certainly due and not on the switch is told.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    pending = pending_migrations(settings)
    found = _disk(settings)
    if pending:  # the rest cannot be asked for
        text = f"{', '.join(pending)} not applied to this warehouse"
        return [*found, Matter("schema", True, "schema", text, "parc up --no-airflow")]
    with connect(settings, "reader") as connection:
        found += [*_refused(connection), *_missing(settings, connection), *_interrupted(connection)]
        found += [*_quarantined(connection), *_builds(connection)]
        found += _seeds(settings, connection)
    return found + _routing(settings, plan_for)


def due(settings: Settings, business_date: date) -> list[Due]:
    """What the feed calendar expects of a night, references first, and what has become of it.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    with connect(settings, "reader") as connection:
        return _due(settings, connection, business_date)


def newest_night(settings: Settings) -> date | None:
    """The last business date of which anything came or was looked for; None before the first."""
    with connect(settings, "reader") as connection:
        row = connection.execute(
            "select greatest((select max(business_date) from ops.delivery), "
            "(select max(business_date) from ops.looked_for))"
        ).fetchone()
    return row[0] if row else None


@dataclass(frozen=True)
class _Expected:
    """A row of the feed calendar, the seed in git: also known before the first build."""

    feed: str
    cadence: str
    due_time_local: time
    first_due_date: date

    def is_due(self, day: date) -> bool:
        on_its_day = {"daily": True, "weekly": day.weekday() == 0, "monthly": day.day == 1}
        return day >= self.first_due_date and on_its_day[self.cadence]

    def due_at(self, day: date) -> datetime:
        return datetime.combine(day + timedelta(days=1), self.due_time_local, PARIS).astimezone(UTC)


def _calendar(settings: Settings) -> dict[str, _Expected]:
    """By feed, references first: the facts are checked against them."""
    path = settings.project / "dbt_project" / "seeds" / "feed_calendar.csv"
    with path.open(newline="") as file:
        expected = [
            _Expected(
                row["feed"],
                row["cadence"],
                time.fromisoformat(row["due_time_local"]),
                date.fromisoformat(row["first_due_date"]),
            )
            for row in csv.DictReader(file)
        ]
    expected.sort(key=lambda each: FEEDS[each.feed].keeping is Keeping.DAYS)
    return {each.feed: each for each in expected}


def _due(settings: Settings, connection: psycopg.Connection[Any], business_date: date) -> list[Due]:
    with connection.cursor(row_factory=dict_row) as cursor:
        come = {
            row["feed"]: row
            for row in cursor.execute(
                """
                select distinct on (feed)
                    feed,
                    status,
                    reason,
                    rows_published,
                    rows_quarantined,
                    built_in
                from ops.delivery
                where business_date = %s and status <> 'superseded'
                order by feed, delivery_id desc
                """,
                [business_date],
            )
        }
        looked_for = {
            row["feed"]
            for row in cursor.execute(
                "select feed from ops.looked_for where business_date = %s", [business_date]
            )
        }
    rows = []
    for feed, expected in _calendar(settings).items():
        if not expected.is_due(business_date):
            continue
        due_at = expected.due_at(business_date)
        delivery = come.get(feed)
        state: State
        detail = ""
        if delivery is None:
            state = "missing" if feed in looked_for or due_at <= datetime.now(UTC) else "due"
        elif delivery["status"] == "published":
            state = "published"
            detail = f"{delivery['rows_published']:,} rows"
            if delivery["rows_quarantined"]:
                detail += f", {delivery['rows_quarantined']:,} in quarantine"
            if delivery["built_in"] is None:
                detail += ", not built yet"
        elif delivery["status"] == "refused":
            state, detail = "refused", delivery["reason"]
        else:
            state = "loading"
        is_daily = FEEDS[feed].keeping is Keeping.DAYS
        rows.append(Due(feed, business_date, due_at, is_daily, state, detail))
    return rows


def _disk(settings: Settings) -> list[Matter]:
    home = settings.home
    while not home.exists():
        home = home.parent
    free = shutil.disk_usage(home).free
    if free >= NEEDED_BYTES:
        return []
    text = f"{free / 1024**3:.1f} GiB free at {settings.home}: make room, or move PARC_HOME"
    return [Matter("disk", True, "disk", text, "")]


def _missing(settings: Settings, connection: psycopg.Connection[Any]) -> list[Matter]:
    """Runs of days of a feed that are due by the calendar and have not come."""
    built = connection.execute("select to_regclass('intermediate.int_missing_deliveries')").fetchone()
    # Before the first build the warehouse knows no calendar: then what was looked for in vain is missing.
    source = "intermediate.int_missing_deliveries" if built and built[0] else "ops.looked_for"
    calendar = _calendar(settings)
    days: dict[str, list[date]] = {}
    rows = connection.execute(
        f"select feed, business_date from {source} as missing where not exists ("
        "select from ops.delivery where delivery.feed = missing.feed "
        "and delivery.business_date = missing.business_date and status <> 'superseded') order by 1, 2"
    )
    for feed, day in rows:
        if feed in calendar and calendar[feed].is_due(day):
            days.setdefault(feed, []).append(day)
    found = []
    for feed, expected in calendar.items():
        is_daily = FEEDS[feed].keeping is Keeping.DAYS
        for first, last in _stretches(days.get(feed, [])):
            text = f"due since {_shown(expected.due_at(first))}, has not come"
            if not is_daily:
                text += "; the snapshot before it stays in force"
            found.append(
                Matter(
                    "missing", is_daily, _named(feed, first, last), text,
                    f"have it sent, then {_ingest(feed, first, last)}",
                )
            )  # fmt: skip
    return found


def _refused(connection: psycopg.Connection[Any]) -> list[Matter]:
    """Deliveries refused as a whole, until a later one of their date is published."""
    rows = connection.execute(
        """
        select latest.feed, latest.business_date, latest.reason, current.delivery_id
        from (
            select distinct on (feed, business_date) feed, business_date, status, reason
            from ops.delivery
            order by feed, business_date, delivery_id desc
        ) as latest
        left join ops.delivery as current
            on latest.feed = current.feed
            and latest.business_date = current.business_date
            and current.status = 'published'
        where latest.status = 'refused'
        order by latest.business_date, latest.feed
        """
    )
    found = []
    for feed, day, reason, current in rows:
        text = f"refused: {reason}"
        if current:
            text += f" (delivery {current} of that day stays published)"
        command = f"have it sent again, then {_ingest(feed, day, day)}"
        found.append(Matter("refused", current is None, f"{feed} {day}", text, command))
    return found


def _interrupted(connection: psycopg.Connection[Any]) -> list[Matter]:
    """Deliveries being loaded by a process that lives no more: its lock is free."""
    rows = connection.execute(
        """
        select feed, business_date
        from ops.delivery
        where status in ('landed', 'audited') and not exists (
            select from pg_locks
            where locktype = 'advisory' and granted and objsubid = 2
                and database = (select oid from pg_database where datname = current_database())
                and classid = (hashtext('ingest ' || feed)::bigint & 4294967295)::oid
                and objid = to_char(business_date, 'YYYYMMDD')::bigint::oid
        )
        order by business_date, feed
        """
    )
    return [
        Matter("interrupted", True, f"{feed} {day}", "its load was interrupted", _ingest(feed, day, day))
        for feed, day in rows
    ]


def _quarantined(connection: psycopg.Connection[Any]) -> list[Matter]:
    """Published deliveries of the last nights of which nearly as many rows were rejected as are allowed."""
    rows = connection.execute(
        """
        select feed, business_date, delivery_id, rows_rejected, rows_read
        from ops.delivery
        where status = 'published' and rows_rejected > 0
            and business_date > (select max(business_date) from ops.delivery) - %s::integer
        order by business_date, feed
        """,
        [QUARANTINE_NIGHTS],
    )
    found = []
    for feed, day, delivery_id, rejected, read in rows:
        limit = FEEDS[feed].reject_limit
        if rejected < QUARANTINE_SHARE * limit * read:
            continue
        text = (
            f"{rejected:,} of {read:,} rows in quarantine ({rejected / read:.2%}, the limit is {limit:.0%})"
        )
        query = (
            "select column_name, reason, count(*) from ops.quarantine "
            f"where delivery_id = {delivery_id} group by 1, 2 order by 3 desc"
        )
        found.append(Matter("quarantine", False, f"{feed} {day}", text, f'parc sql "{query}"'))
    return found


def _builds(connection: psycopg.Connection[Any]) -> list[Matter]:
    """The last build where it failed, else what is published and not built."""
    waiting = connection.execute(
        "select feed, business_date from ops.delivery where status = 'published' and built_in is null "
        "order by business_date, feed"
    ).fetchall()
    last = connection.execute(
        "select build_id, status, coalesce(reason, '') from ops.build order by build_id desc limit 1"
    ).fetchone()
    is_running = _is_locked(connection, BUILD_LOCK)
    if last and not is_running and last[1] != "published":
        text = last[2] if last[1] == "failed" else "its process ended before it did"
        if waiting:
            text += f"; {_count(len(waiting), 'published delivery', 'published deliveries')} wait for it"
        command = "mend the data or the model, then parc build" if last[1] == "failed" else "parc build"
        return [Matter("build failed", True, f"build {last[0]}", text, command)]
    if not waiting:
        return []
    names = _listed([f"{feed} {day}" for feed, day in waiting])
    subject = _count(len(waiting), "delivery", "deliveries")
    if is_running:
        text = f"published, not in the marts yet: {names}; a build is running"
        return [Matter("not built", False, subject, text, "")]
    return [Matter("not built", True, subject, f"published, not in the marts yet: {names}", "parc build")]


def _seeds(settings: Settings, connection: psycopg.Connection[Any]) -> list[Matter]:
    """Seeds whose content in git is not that of the published marts."""
    before = dict(connection.execute("select seed, sha256 from ops.seed_version").fetchall())
    if not before:
        return []
    try:
        now = seeds.read(settings.project / "dbt_project" / "seeds")
    except ParcError as error:
        return [Matter("seeds", True, "seeds", str(error), "")]
    changed = sorted(name for name, seed in now.items() if before.get(name) != seed.sha256)
    changed += sorted(before.keys() - now.keys())
    if not changed:
        return []
    text = f"{_listed(changed)} changed since the last build"
    return [Matter("seeds", True, _count(len(changed), "seed", "seeds"), text, "parc build")]


def _routing(settings: Settings, plan_for: date | None) -> list[Matter]:
    """What keeps the switch from the table it should have."""
    try:
        status = routing.status(settings)
    except ParcError as error:
        return [Matter("switch", True, "switch", str(error), "")]
    try:
        newest = newest_business_date(settings)
    except ParcError:
        newest = None
    found = []
    apply = f"parc routing apply --date {newest}" if newest else "parc routing apply"
    if status.drift:
        command = f"{apply} --drift adopt (the switch is right), or --drift overwrite (the release is)"
        if status.version is None:
            command = f"{apply} --bootstrap"
        found.append(Matter("drift", True, "switch", status.drift, command))
    if status.unfinished:
        with connect(settings, "reader") as connection:
            if not _is_locked(connection, ROUTING_LOCK):
                found.append(Matter("unfinished release", True, "switch", status.unfinished, apply))
    if status.hold:
        text = f"no release until the hold is released; held by {status.hold}"
        found.append(Matter("hold", False, "switch", text, "parc routing release-hold"))
    if status.kill_switch:
        found.append(Matter("kill switch", False, "switch", status.kill_switch, "parc routing enable"))
    if status.drift or status.hold or status.kill_switch:
        return found  # nothing can be released until that is settled
    if plan_for:
        return found + _planned(settings, plan_for)
    return found + (_behind(settings, status, newest) if newest else [])


def _planned(settings: Settings, business_date: date) -> list[Matter]:
    """What the release of a business date is waiting for."""
    subject = f"release for {effective_date(business_date)}"
    look, apply = f"parc routing plan --date {business_date}", f"parc routing apply --date {business_date}"
    try:
        plan = routing.plan(settings, business_date)
    except ParcError as error:
        return [Matter("switch", True, subject, str(error), "")]
    if plan.verdict == "refused":
        command = f"mend the data or the seeds, then parc build; {look} shows the whole plan"
        return [Matter("routing refused", True, subject, _joined(plan.refusals), command)]
    if plan.verdict == "blocked":
        return [Matter("waiting", False, subject, _joined(plan.blocks), "")]
    if plan.verdict == "needs approval":
        text = f"needs a person's approval: {_joined(plan.approvals)}"
        command = f"{look}, then {apply} --approve {plan.plan_hash}"
        return [Matter("waiting", False, subject, text, command)]
    if plan.verdict == "ready":
        return [Matter("switch behind", True, subject, "ready, and not on the switch", apply)]
    return []


def _behind(settings: Settings, status: routing.Status, newest: date) -> list[Matter]:
    """What is certainly due and not on the switch; a night on which nothing changes makes no release."""
    command = f"parc routing plan --date {newest}, then parc routing apply --date {newest}"
    if status.version is None:
        return [Matter("waiting", False, "switch", "it has no table yet", f"{command} --bootstrap")]
    day = effective_date(newest)
    with connect(settings, "exporter") as connection:
        released = audit.last_activated(connection)
        if released is None or released.effective_date is None:
            return []
        rows = connection.execute(
            "select distinct day from marts.routing_rollout "
            "cross join unnest(array[planned_go_live_date, withdrawn_on]) as day "
            "where day > %s and day <= %s order by 1",
            [released.effective_date, day],
        ).fetchall()
    changes = _listed([str(changed) for (changed,) in rows])
    reasons = [f"the rollout plan changes on {changes}"] if changes else []
    if horizon(released.effective_date) != horizon(day):
        reasons.append("its opening windows are those of an earlier month")
    if not reasons:
        return []
    text = f"{status.version} was made for {released.effective_date}, the marts hold {newest}: "
    return [Matter("switch behind", True, "switch", text + ", and ".join(reasons), command)]


def _is_locked(connection: psycopg.Connection[Any], lock: int) -> bool:
    """Whether a session of this warehouse holds the advisory lock."""
    row = connection.execute(
        "select exists (select from pg_locks where locktype = 'advisory' and granted and objsubid = 1 "
        "and database = (select oid from pg_database where datname = current_database()) "
        "and (classid::bigint << 32) | objid::bigint = %s)",
        [lock],
    ).fetchone()
    return bool(row and row[0])


def _stretches(days: Sequence[date]) -> list[tuple[date, date]]:
    """Sorted days as (first, last) of each run of days that follow one another."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _named(feed: str, first: date, last: date) -> str:
    return f"{feed} {first}" + (f" to {last}" if last != first else "")


def _ingest(feed: str, first: date, last: date) -> str:
    days = f"--date {first}" if first == last else f"--from {first} --to {last}"
    return f"parc ingest {feed} {days}"


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _joined(entries: Iterable[object]) -> str:
    return "; ".join(map(str, entries))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMES_TOLD
    return ", ".join(names[:NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")


def _shown(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
