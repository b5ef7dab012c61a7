"""What the pages show of the ledger. They connect as the reader, which sees no raw number."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import class_row, dict_row, scalar_row

from parc.feeds import FEEDS, Keeping
from parc.numbers import remark

NIGHTS_SHOWN = 14
DELIVERIES_SHOWN = 100
QUARANTINE_SHOWN = 200

Row = dict[str, Any]
State = Literal["published", "late", "restated", "refused", "loading", "missing", "expected"]


@dataclass(frozen=True)
class Night:
    """A feed and a business date on which it was due or came. `delivery_id` is its newest delivery, None
    where none came; `reason` says why that one was refused."""

    feed: str
    business_date: date
    state: State
    delivery_id: int | None
    rows_published: int | None
    rows_quarantined: int | None
    is_built: bool
    reason: str | None


@dataclass(frozen=True)
class Nights:
    """The last business dates, oldest first, and by feed and date what became of them; a pair that is not
    there was not due. `is_daily`, by feed: of the others the snapshot before a missing one stays in force."""

    dates: list[date]
    is_daily: dict[str, bool]
    found: dict[tuple[str, date], Night]


@dataclass(frozen=True)
class Run:
    """What a run of Airflow's made, and through it the rest: `build_ids` and `delivery_ids` are its own where
    it `made` them, else those that belong to what it made."""

    dag_id: str
    run_id: str
    build_ids: list[int]
    delivery_ids: list[int]
    made: Literal["builds", "deliveries", "release", "nothing"]


@dataclass(frozen=True)
class Model:
    """A model, seed or snapshot of a build and the tests that could run once it was there."""

    node: Row
    tests: list[Row] = field(default_factory=list)

    @property
    def failed_tests(self) -> list[Row]:
        """Tests that did not pass, warnings included."""
        return [test for test in self.tests if test["status"] not in ("success", "skipped")]


def nights(connection: Connection[Any]) -> Nights:
    """The last nights up to the newest that anything is known of.

    A delivery is late when it came after its time although the platform was at work by then, or after a later
    day of its feed: history that is loaded afterwards is not. What was due is known from the first build on.
    """
    with connection.cursor(row_factory=scalar_row) as cursor:
        has_calendar = cursor.execute(
            "select to_regclass('intermediate.int_due_deliveries') is not null"
        ).fetchone()
        dates = cursor.execute(
            """
            select day::date
            from (
                select greatest(
                    (
                        select max(business_date) from ops.delivery
                        where status <> 'withdrawn' and not is_misdated
                    ),
                    (select max(business_date) from ops.looked_for)
                ) as last_date
            ) as newest
            cross join generate_series(last_date - %s + 1, last_date, interval '1 day') as day
            order by day
            """,
            [NIGHTS_SHOWN],
        ).fetchall()
    due = (
        "select feed, business_date, due_at from intermediate.int_due_deliveries"
        if has_calendar
        else "select feed, business_date, looked_at as due_at from ops.looked_for"
    )
    with connection.cursor(row_factory=class_row(Night)) as cursor:
        rows = cursor.execute(
            f"""
            with due as (
                select * from ({due}) as calendar where business_date >= %(first)s
            ),

            came as (
                select
                    feed,
                    business_date,
                    max(delivery_id) filter (where status <> 'superseded') as newest_id,
                    max(delivery_id) filter (where status = 'published') as published_id,
                    min(landed_at) as landed_at
                from ops.delivery
                where business_date >= %(first)s and status <> 'withdrawn' and not is_misdated
                group by feed, business_date
                having bool_or(status <> 'superseded')
            ),

            nights as (
                select * from due full outer join came using (feed, business_date)
            )

            select
                nights.feed,
                nights.business_date,
                case
                    when newest.status = 'refused' then 'refused'
                    when newest.status in ('landed', 'audited') then 'loading'
                    when newest.delivery_id is null and nights.due_at > clock_timestamp() then 'expected'
                    when newest.delivery_id is null then 'missing'
                    when published.supersedes_delivery_id is not null then 'restated'
                    when nights.landed_at > nights.due_at
                        and nights.due_at > (select min(landed_at) from ops.delivery) then 'late'
                    when exists (
                        select from came as later
                        where later.feed = nights.feed and later.business_date > nights.business_date
                            and later.landed_at < nights.landed_at
                    ) then 'late'
                    else 'published'
                end as state,
                newest.delivery_id,
                published.rows_published,
                published.rows_quarantined,
                published.built_in is not null as is_built,
                case when newest.status = 'refused' then newest.reason end as reason
            from nights
            left join ops.delivery as newest on nights.newest_id = newest.delivery_id
            left join ops.delivery as published on nights.published_id = published.delivery_id
            """.encode(),
            {"first": dates[0] if dates else date.max},
        ).fetchall()
    is_daily = {feed.name: feed.keeping is Keeping.DAYS for feed in FEEDS.values()}
    return Nights(dates, is_daily, {(row.feed, row.business_date): row for row in rows})


def published_build(connection: Connection[Any]) -> Row | None:
    """The build that BI sees: build_id, published_at, missing, and the newest date of calls in it."""
    return _row(
        connection,
        """
        select
            build_id,
            published_at,
            missing,
            (
                select max(business_date) from ops.delivery
                where feed = 'calls' and built_in is not null and status <> 'withdrawn'
            ) as last_date
        from marts.published_build
        """,
    )


_BUILDS = """
    select
        build.build_id,
        build.status,
        build.is_full_refresh,
        build.started_at,
        build.finished_at,
        extract(
            epoch from coalesce(build.finished_at, clock_timestamp()) - build.started_at
        )::double precision as seconds,
        build.reason,
        build.missing,
        build.resumed_build_id,
        (select count(*) from ops.build_delivery where build_id = build.build_id) as delivery_count,
        (
            select count(distinct business_date) from ops.build_date
            where build_id = build.build_id and feed in ('calls', 'boutique_visits', 'interventions')
        ) as date_count,
        nodes.node_count,
        nodes.bad_count,
        run.dag_id,
        run.run_id
    from ops.build
    cross join lateral (
        select
            count(*) as node_count,
            count(*) filter (where status in ('error', 'fail')) as bad_count
        from ops.build_node
        where build_id = build.build_id
    ) as nodes
    left join lateral (
        select dag_id, run_id from ops.airflow_run where build_id = build.build_id order by at desc limit 1
    ) as run on true
"""


def builds(connection: Connection[Any], count: int) -> list[Row]:
    """The last builds, newest first."""
    return _rows(connection, f"{_BUILDS} order by build_id desc limit %s", [count])


def build(connection: Connection[Any], build_id: int) -> Row | None:
    """A build with `failures` (nodes that failed, in the order in which they did), `models` (those with
    trouble first, then the slowest first), `slowest_seconds` of any of them, and how many nodes have each
    status; None where there is no such build."""
    found = _row(connection, f"{_BUILDS} where build.build_id = %s", [build_id])
    if found is None:
        return None
    nodes = _rows(
        connection,
        "select node, kind, coalesce(tested, '{}') as tested, status, seconds, row_count, message, "
        "coalesce(failing_rows, '[]') as failing_rows, origins, position "
        "from ops.build_node where build_id = %s order by position",
        [build_id],
    )
    models, others = _fold(nodes)
    statuses: dict[str, int] = {}
    for node in nodes:
        statuses[node["status"]] = statuses.get(node["status"], 0) + 1
    return found | {
        "failures": [node for node in nodes if node["status"] in ("error", "fail")],
        "models": models,
        "other_tests": others,
        "slowest_seconds": max((model.node["seconds"] for model in models), default=0),
        "statuses": statuses,
    }


def _fold(nodes: list[Row]) -> tuple[list[Model], list[Row]]:
    """Each test under the last to finish of what it reads: only then could it run. The rest stand apart."""
    models = {node["node"]: Model(node) for node in nodes if node["kind"] not in ("test", "unit_test")}
    others = []
    for node in nodes:
        if node["node"] in models:
            continue
        read = [models[name] for name in node["tested"] if name in models]
        if read:
            max(read, key=lambda model: model.node["position"]).tests.append(node)
        else:
            others.append(node)
    rank = {"error": 0, "fail": 0, "skipped": 3, "success": 2}

    def order(model: Model) -> tuple[int, float]:
        trouble = min(rank.get(node["status"], 1) for node in (model.node, *model.failed_tests))
        return trouble, -model.node["seconds"]

    return sorted(models.values(), key=order), others


def deliveries(
    connection: Connection[Any],
    *,
    feed: str | None = None,
    business_date: date | None = None,
    delivery_ids: list[int] | None = None,
) -> list[Row]:
    """Rows of the ledger, newest first: all, or those of a feed, a date, these ids; at most DELIVERIES_SHOWN.

    `ended_at` is when its reading had ended: its audit, else the next delivery of the day; None without.
    """
    return _rows(
        connection,
        """
        select
            delivery.*,
            coalesce(
                delivery.audited_at,
                (
                    select min(later.landed_at) from ops.delivery as later
                    where later.feed = delivery.feed and later.business_date = delivery.business_date
                        and later.delivery_id > delivery.delivery_id
                )
            ) as ended_at,
            run.dag_id,
            run.run_id
        from ops.delivery
        left join lateral (
            select dag_id, run_id from ops.airflow_run
            where delivery_id = delivery.delivery_id order by at limit 1
        ) as run on true
        where (%(feed)s::text is null or feed = %(feed)s)
            and (%(date)s::date is null or business_date = %(date)s)
            and (%(ids)s::bigint[] is null or delivery_id = any (%(ids)s))
        order by delivery_id desc
        limit %(limit)s
        """,
        {"feed": feed, "date": business_date, "ids": delivery_ids, "limit": DELIVERIES_SHOWN},
    )


def quarantine_reasons(connection: Connection[Any], delivery_id: int) -> list[Row]:
    """How many rows of a delivery broke which rule, most frequent first."""
    return _rows(
        connection,
        "select column_name, reason, count(*) as row_count from ops.quarantine where delivery_id = %s "
        "group by column_name, reason order by row_count desc, reason",
        [delivery_id],
    )


def quarantine(connection: Connection[Any], delivery_id: int) -> list[Row]:
    """The first rows of a delivery that broke a rule, as they stand in its files; personal columns masked."""
    return _rows(
        connection,
        "select file_name, line_number, column_name, reason, row_text from ops.quarantine "
        "where delivery_id = %s order by file_name, line_number limit %s",
        [delivery_id, QUARANTINE_SHOWN],
    )


def live_release(connection: Connection[Any]) -> Row | None:
    """The last release that went live, as recorded (that the switch still holds it is desk's to say)."""
    return _row(
        connection,
        """
        select
            version,
            kind,
            event.at,
            effective_date,
            approved_by,
            requested_by,
            reason,
            calls_moved_share,
            build_id,
            requested_by as dag_id,
            substring(reason from '^Airflow run (.*)$') as run_id
        from ops.routing_release as release
        inner join ops.routing_release_event as event using (release_id)
        where event.event = 'activated'
        order by event.event_id desc
        limit 1
        """,
    )


def run(connection: Connection[Any], dag_id: str, run_id: str) -> Run:
    """What a run of Airflow's made. From deliveries one comes to the builds that took them in, from a build
    to the deliveries it saw first, from a release to its build and its inputs."""
    given = [dag_id, run_id]
    own = "select {0} from ops.airflow_run where dag_id = %s and run_id = %s and {0} is not null order by 1"
    build_ids = _ids(connection, own.format("build_id"), given)
    delivery_ids = _ids(connection, own.format("delivery_id"), given)
    if build_ids:
        seen = "select delivery_id from ops.build_delivery where build_id = any (%s) order by 1"
        return Run(dag_id, run_id, build_ids, _ids(connection, seen, [build_ids]), "builds")
    if delivery_ids:
        took = (
            "select distinct built_in from ops.delivery where delivery_id = any (%s) and built_in is not null"
        )
        return Run(dag_id, run_id, _ids(connection, took, [delivery_ids]), delivery_ids, "deliveries")
    release = _row(
        connection,
        "select build_id, delivery_ids from ops.routing_release where requested_by = %s and reason = %s "
        "order by release_id desc limit 1",
        [remark(dag_id), remark(f"Airflow run {run_id}")],
    )
    if release:
        inputs = [int(value) for value in dict(release["delivery_ids"]).values()]
        return Run(dag_id, run_id, [release["build_id"]] if release["build_id"] else [], inputs, "release")
    return Run(dag_id, run_id, [], [], "nothing")


def _rows(connection: Connection[Any], query: str, values: Any = None) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()


def _row(connection: Connection[Any], query: str, values: Any = None) -> Row | None:
    found = _rows(connection, query, values)
    return found[0] if found else None


def _ids(connection: Connection[Any], query: str, values: list[Any]) -> list[int]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()
