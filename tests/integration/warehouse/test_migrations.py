"""A warehouse of the released version, once migrated, works like a new one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from parc import desk
from parc.build import build
from parc.feeds import FEEDS
from parc.findings import FindingKind
from parc.loading import ingest, withdraw
from parc.platform import doctor, supervisor
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect, migrate
from parc.warehouse.schema import pending_migrations
from support.marts import marts, rows
from support.printed import run_printed

NEXT_DAY = date(2012, 4, 24)
"""The day after the four that the warehouse holds."""

STEADY = "business_date <= '2012-04-22'"
OF_ONE_DATE = (
    "marts.fct_boutique_visits",
    "marts.fct_calls",
    "marts.mart_boutique_wait_histogram_daily",
    "marts.mart_boutiques_daily",
    "marts.mart_wait_histogram_daily",
)
"""Marts whose figures of a date come from that date's deliveries: a later night leaves them as they are."""

BEFORE_THE_FIRST_EXTRACT = "marts.mart_intervention_time_histogram_daily"
"""It held dates before the first extract of jobs, of which only the jobs still open then were known."""

MISDATED = (
    ("calls", date(2102, 4, 25), "refused"),
    ("calls", date(2013, 4, 25), "refused"),
    ("interventions", date(1, 1, 1), "landed"),
    ("active_lines", date(9999, 12, 31), "published"),
)
"""What the released version let into its ledger; then neither a build nor `parc status` ended."""

PEOPLE = """
    select array_agg(contact order by contact)
    from (
        select identity_key, 'call ' || call_id as contact from marts.fct_calls
        union all select identity_key, 'visit ' || visit_id from marts.fct_boutique_visits
        union all select identity_key, 'job ' || job_id from marts.fct_interventions
    ) as contacts
    group by identity_key
    order by 1
"""
"""The contacts of each person, across channels."""

Columns = dict[str, list[str]]

RESPELLED = {
    **{
        key: f"left(replace({key}::text, '-', ''), 32)"
        for key in ("agent_key", "caller_key", "customer_key", "line_key")  # once 64 hex digits, now uuids
    },
    **{
        identity: f"case when {identity} is null then '' else 'somebody' end"
        for identity in (
            "caller_identity",
            "customer_identity",
            "identity_key",
        )  # now a pseudonym's beginning
    },
    **{value: f"trim_scale({value})" for value in ("value_before", "value_after")},  # now with a scale
}
"""Columns of which a schema change altered the spelling on purpose, and what it left as it was."""


def columns(settings: Settings) -> Columns:
    """The columns of the tables that hold what people sent, saw and decided."""
    found = rows(
        settings,
        "select format('%I.%I', relnamespace::regnamespace::text, relname), array_agg(attname::text) "
        "from pg_class join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped "
        "where relkind in ('r', 'p') and not relispartition and relname <> 'schema_version' "
        "and relnamespace::regnamespace::text in ('marts', 'ops', 'raw', 'reference', 'routing') group by 1",
        "admin",
    )
    return dict(found)


def contents(settings: Settings, of: Columns, where: str = "true") -> dict[str, list[tuple]]:
    """The rows of tables in these columns, as text, sorted."""
    return {
        table: sorted(
            rows(
                settings,
                f"select ({', '.join(RESPELLED.get(name, name) for name in names)})::text "
                f"from {table} where {where}",
                "admin",
            )
        )
        for table, names in of.items()
    }


def views_of_bi(settings: Settings, role: str) -> dict[str, list[tuple]]:
    """The rows of each view in `marts`."""
    names = rows(
        settings,
        "select relname::text from pg_class where relnamespace = 'marts'::regnamespace and relkind = 'v'",
    )
    return {name: sorted(rows(settings, f"select v::text from marts.{name} as v", role)) for (name,) in names}


def test_schema_changes_lose_nothing(released: Settings) -> None:
    of_release = columns(released)
    views_before = views_of_bi(released, "reader")
    assert len(views_before) == 7 and all(views_before.values())
    with connect(released, "admin") as connection:
        connection.execute("create view public.mine as select caller_key from marts.fct_calls order by 1")
        connection.execute("create view public.ours as select count(*) as callers from public.mine")
        connection.execute("grant select on public.ours to bi_reader")
        connection.execute("comment on column public.mine.caller_key is 'Mine.'")
    before = contents(released, of_release)
    people = rows(released, PEOPLE)
    assert len(before["marts.fct_calls"]) > 800
    with connect(released, "admin") as connection:
        for feed, day, status in MISDATED:
            connection.execute(
                "insert into ops.delivery (feed, business_date, status, files, content_sha256, published_at) "
                "values (%s, %s, %s, '[]', '', case %s when 'published' then now() end)",
                [feed, day, status, status],
            )
    assert pending_migrations(released)
    run_printed(released, FindingKind.SCHEMA)
    supervisor.stop(released)
    assert pending_migrations(released) == []
    after = contents(released, of_release)
    changed = {table for table in before if after[table] != before[table]}
    assert changed == {"ops.delivery", BEFORE_THE_FIRST_EXTRACT}
    assert not set(before["ops.delivery"]) - set(after["ops.delivery"])
    left = rows(released, f"select distinct business_date from {BEFORE_THE_FIRST_EXTRACT}", "admin")
    extracts = rows(released, "select distinct business_date from ops.delivery where feed = 'interventions'")
    assert left and set(left) <= set(extracts)
    assert rows(released, PEOPLE) == people, "who was one person is one still"
    views_after = views_of_bi(released, "bi_reader")
    times = "mart_intervention_time_percentiles"
    assert views_before.pop(times) and views_after[times], "the latter of the dates that are left"
    assert views_before.items() <= views_after.items(), "BI reads them until the next build"
    assert migrate(released) == []

    [(callers,)] = rows(released, "select callers from public.ours", "bi_reader")
    assert callers > 800, "views of others stay"
    assert rows(released, "select col_description('public.mine'::regclass, 1)") == [("Mine.",)]


def test_the_next_night_continues_on_the_migrated_warehouse(
    released: Settings, copy_of: Callable[[Settings], Settings]
) -> None:
    migrate(released)
    steady = {table: names for table, names in columns(released).items() if table in OF_ONE_DATE}
    before = contents(released, steady, STEADY)
    assert len(before) == len(OF_ONE_DATE)
    assert all(before.values())

    simulate(NEXT_DAY, NEXT_DAY, scale=0.001, seed=41, out=released.landing)
    for feed in FEEDS:
        outcome = ingest(released, feed, NEXT_DAY)
        assert outcome.status in ("published", "missing"), outcome.message
    result = build(released)
    assert result.delivery_count >= 3
    assert {gap["business_date"] for gap in result.missing} <= {f"2012-04-{day}" for day in range(20, 25)}
    assert contents(released, steady, STEADY) == before

    rebuilt = copy_of(released)
    build(rebuilt, full_refresh=True)
    incremental, refreshed = marts(released), marts(rebuilt)
    assert {name for name in refreshed if refreshed[name] != incremental[name]} == set()


def test_far_away_dates_block_nothing_and_can_be_withdrawn(released: Settings) -> None:
    far_away = date(2012, 12, 31)
    assert desk.newest_night(released) == NEXT_DAY
    assert all(row["business_date"] < far_away for row in desk.missing(released))
    kinds = ("misdated", "interrupted", "refused")
    reported = [finding for finding in desk.findings(released) if finding.kind in kinds]
    [finding] = [finding for finding in reported if "2012-04" not in finding.subject.name]
    assert finding.subject.name == "active_lines 9999-12-31" and finding.is_wrong
    assert finding.command in [check.command for check in doctor.checks(released)]
    delivery_id = int(finding.command.split()[2])
    withdraw(released, delivery_id, "misdated")
    assert not [finding for finding in desk.findings(released) if finding.kind == "misdated"]
    assert build(released).withdrawn_count == 1
    assert rows(
        released,
        f"select count(*) from marts.mart_feed_health where is_due and business_date > '{far_away}'",
    ) == [(0,)]
