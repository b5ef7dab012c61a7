"""The landing suites on real PostgreSQL: a healthy delivery passes, and every expectation can fail."""

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import psycopg
import pytest
from psycopg import sql

from parc import feeds, quality, warehouse
from parc.loading import ingest
from parc.quality import History, PastDelivery, QualityError, Verdict
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from parc.warehouse.connections import Role

DAY = date(2012, 4, 25)
FIRST_DAY = History()
Connection = psycopg.Connection[tuple[object, ...]]

with (PROJECT / "dbt_project" / "seeds" / "departments.csv").open() as departments:
    DEPARTMENTS = [row["department_code"] for row in csv.DictReader(departments)]

MEASURED: dict[str, dict[str, Any]] = {}
"""What the suites measure of the healthy deliveries."""

IDENTITIES = ("caller_identity", "customer_identity", "row_identity")

HEALTHY = {
    # 2,000 contacts over the day; every fifth is transferred once, so there are 2,400 legs.
    "calls": """
        insert into raw.aside (
            business_date, file_number, line_number, call_id, leg_no,
            offered_at, queued_at, answered_at, ended_at,
            caller_key, caller_prefix, dialled_number, market, customer_key, line_department,
            site_code, queue_code, outcome, agent_key, hold_s, talk_s, wrap_up_s, transferred_to, row_identity
        )
        select
            '2012-04-25', 1, contact * 2 + leg, 'C' || contact, leg, offered, offered + interval '20 s',
            case when answered then offered + interval '60 s' end, offered + interval '5 min',
            case when contact % 10 > 0 then md5(contact::text)::uuid end,
            case when contact % 10 > 0 then '029912' end,
            (array['3901', '3900', '3902'])[1 + contact % 3],
            (array['fixe', 'internet', 'open'])[1 + contact % 3],
            case when contact % 2 = 0 then md5('c' || contact)::uuid end,
            case when contact % 2 = 0 then (array['35', '20'])[1 + contact / 2 % 2] end,
            (array['RENNES', 'BREST', 'CASABLANCA'])[1 + contact % 3], 'Q1',
            case when answered then 'answered'
                else (array['abandoned', 'ivr_resolved', 'overflowed', 'blocked'])[1 + contact / 20 % 4] end,
            case when answered then md5('a' || contact % 90)::uuid end, 0,
            case when answered then 180 end, 30,
            case when contact % 5 = 0 and leg = 1 then 'EXPERT' end, contact
        from generate_series(1, 2000) as contact
        cross join generate_series(1, 2) as leg
        cross join lateral (
            select timestamptz '2012-04-25 07:00+02' + contact * interval '28 s' as offered,
                contact % 20 < 17 as answered
        ) as times
        where leg = 1 or contact % 5 = 0
    """,
    "numbering_plan": """
        create table raw.numbering_plan__20120301_1 partition of raw.numbering_plan
        for values in ('2012-03-01');
        insert into raw.numbering_plan (business_date, file_number, line_number, prefix)
        select '2012-03-01', 1, block, '0' || 1 + block % 5 || lpad(block::text, 4, '0')
        from generate_series(1, 1200) as block;
        insert into raw.aside (business_date, file_number, line_number, prefix, department_code, region_2012)
        select '2012-04-25', 1, block, '0' || 1 + block % 5 || lpad(block::text, 4, '0'),
            (array['35', '20', '975'])[1 + block % 3], (array['Bretagne', 'Corse', null])[1 + block % 3]
        from generate_series(1, 1200) as block
    """,
    # Every department and market, in the snapshot published before it too.
    "active_lines": f"""
        create table raw.active_lines__20120301_1 partition of raw.active_lines for values in ('2012-03-01');
        create temp table counted as
        select department_code, market, 1000 as lines
        from unnest(array{DEPARTMENTS}) as department_code,
            unnest(array['fixe', 'internet', 'open']) as market;
        insert into raw.active_lines (
            business_date, file_number, line_number, month, department_code, market, lines
        ) select '2012-03-01', 1, 1, '2012-03-01', * from counted;
        insert into raw.aside (business_date, file_number, line_number, month, department_code, market, lines)
        select '2012-04-25', 1, 1, '2012-04-01', * from counted
    """,
    "line_assignments": """
        insert into raw.aside (number, department_code, reason)
        select number::text, (array['35', '29', '22'])[1 + number % 3], 'ported'
        from generate_series(1, 1200) as number
    """,
    # The snapshot published before it had ten boutiques more.
    "boutiques": """
        create table raw.boutiques__20120301_1 partition of raw.boutiques for values in ('2012-03-01');
        insert into raw.boutiques (
            business_date, file_number, line_number, boutique_code, name, department_code, opened_on
        )
        select '2012-03-01', 1, number, 'B' || number, 'Boutique', '35', '2001-01-01'
        from generate_series(1, 130) as number;
        insert into raw.aside (
            business_date, line_number, boutique_code, name, department_code, opened_on, closed_on
        )
        select
            '2012-04-25', number, 'B' || number, 'Boutique', (array['35', '20', '971'])[1 + number % 3],
            '2001-01-01',
            (array[null, '2010-01-01', '2012-06-01'])[1 + number % 3]::date
        from generate_series(1, 120) as number
    """,
    # Every twentieth visitor leaves unserved.
    "boutique_visits": """
        create table raw.boutiques__20120401_1 partition of raw.boutiques for values in ('2012-04-01');
        insert into raw.boutiques (
            business_date, file_number, line_number, boutique_code, name, department_code, opened_on
        )
        select '2012-04-01', 1, number, 'B' || number, 'Boutique', '35', '2001-01-01'
        from generate_series(0, 39) as number;
        insert into raw.aside (
            business_date, line_number, visit_id, boutique_code, arrived_at, served_at, left_at, customer_key,
            reason_code, outcome
        )
        select
            '2012-04-25', visit, 'V' || visit, 'B' || visit % 40, arrived,
            case when visit % 20 > 0 then arrived + interval '5 min' end, arrived + interval '20 min',
            case when visit % 2 = 0 then md5(visit::text)::uuid end, 'bill',
            case when visit % 20 = 0 then 'left_unserved' when visit % 20 < 6 then 'sale' else 'served' end
        from generate_series(1, 2400) as visit
        cross join lateral (
            select timestamptz '2012-04-25 09:00+02' + visit * interval '14 s' as arrived
        ) as times
    """,
    # Every state has a slot; every second one is closed, four in five of these done.
    "interventions": """
        insert into raw.aside (
            business_date, line_number, job_id, updated_at, unit_code, kind, market, customer_key, line_key,
            department_code, requested_at, first_slot_offered_at, slot_start, slot_end, arrived_at, closed_at,
            result
        )
        select
            '2012-04-25', state, 'J' || state, timestamptz '2012-04-25 18:00+02',
            (array['UI_RENNES', 'UI_BREST'])[1 + state % 2],
            (array['repair', 'installation', 'repair'])[1 + state % 3], 'fixe',
            md5('c' || state)::uuid, md5('l' || state)::uuid, (array['35', '20', '2A'])[1 + state % 3],
            timestamptz '2012-04-20 10:00+02', timestamptz '2012-04-25 08:00+02',
            timestamptz '2012-04-25 13:00+02', timestamptz '2012-04-25 17:00+02',
            case when state % 2 = 0 then timestamptz '2012-04-25 14:00+02' end,
            case when state % 2 = 0 then timestamptz '2012-04-25 15:00+02' end,
            case when state % 2 = 0 then (
                array['done', 'done', 'done', 'done', 'done', 'done', 'done', 'done',
                    'incomplete', 'customer_absent', 'technician_absent', 'cancelled']
            )[1 + state / 2 % 12] end
        from generate_series(1, 2400) as state
    """,
}
USUAL = {
    "calls": 2400.0,
    "numbering_plan": 1200.0,
    "active_lines": 303.0,
    "line_assignments": 1200.0,
    "boutiques": 120.0,
    "boutique_visits": 2400.0,
    "interventions": 2400.0,
}


def on_another_date(feed: str, date: str = "2012-04-24", rows: str = "true", **changes: object) -> str:
    """SQL that publishes the prepared rows on another date, with these values in them."""
    values = {"business_date": date, "file_number": 1, **dict.fromkeys(IDENTITIES, 1), **changes}
    return f"""
        create table raw.{feed}__{date.replace("-", "")}_1 partition of raw.{feed} for values in ('{date}');
        insert into raw.{feed}
        select (jsonb_populate_record(null::raw.{feed}, to_jsonb(aside) || '{json.dumps(values)}')).*
        from raw.aside where {rows};
    """


# What breaks just the one expectation: SQL on the healthy delivery, and/or a factor on what is usual.
BREAKS: dict[str, dict[str, str | float]] = {
    "calls": {
        "not_empty": "delete from raw.aside",
        "volume_floor": 2.5,
        "volume_low": 1.7,
        "volume_high": 0.7,
        "hours_unshifted": "update raw.aside set offered_at = offered_at + interval '2 h'",
        "ids_not_of_others": on_another_date("calls")
        + "update raw.aside set caller_key = md5('other' || call_id)::uuid where line_number % 10 < 7",
        "ids_not_of_later_dates": on_another_date("calls", "2012-04-26"),
        "ids_new": on_another_date("calls"),
        "nobody_has_much": "update raw.aside set customer_key = md5('C1')::uuid where line_number % 20 = 5",
        "answered_share": """
            update raw.aside
            set outcome = (array['abandoned', 'ivr_resolved', 'overflowed'])[1 + line_number % 3]
            where line_number % 20 > 0""",
        "unanswered_legs_present": "delete from raw.aside where outcome <> 'answered'",
        "abandoned_share": "update raw.aside set outcome = 'abandoned' where line_number % 10 < 7",
        "ivr_resolved_share": "update raw.aside set outcome = 'ivr_resolved' where line_number % 10 < 6",
        "overflowed_share": "update raw.aside set outcome = 'overflowed' where line_number % 10 < 5",
        "blocked_share": "update raw.aside set outcome = 'blocked' where line_number % 10 < 4",
        "fixe_present": "update raw.aside set market = 'internet' where market = 'fixe'",
        "internet_present": "update raw.aside set market = 'fixe' where market = 'internet'",
        "withheld_share": """
            update raw.aside set caller_key = null, caller_prefix = null, line_department = '35'
            where line_number % 10 < 7""",
        "region_share": """
            update raw.aside set caller_prefix = null, line_department = null
            where line_number % 10 < 7""",
        "customers_identified": "update raw.aside set customer_key = null",
        "answered_have_talk": "update raw.aside set talk_s = null where line_number % 5 = 0",
        "answered_have_site": "update raw.aside set site_code = null where line_number % 5 = 0",
        "answered_have_agent": "update raw.aside set agent_key = null where line_number % 3 = 0",
        "talk_in_seconds": "update raw.aside set talk_s = 1000 * talk_s",
        "morning_present": "update raw.aside set offered_at = offered_at + interval '6 h'",
        "afternoon_present": "update raw.aside set offered_at = offered_at - interval '8 h'",
        "transfers_followed": "delete from raw.aside where leg_no > 1",
        "contacts_whole": """
            delete from raw.aside
            where leg_no = 1 and (line_number + 1) in (
                select later.line_number from raw.aside as later
                where later.leg_no = 2 and later.line_number % 100 = 2
            )""",
        "markets_match_numbers": """
            update raw.aside set market = 'fixe' where dialled_number = '3900' and line_number % 3 = 0""",
        "sites_heard_from": on_another_date("calls", "2012-04-18", "line_number <= 200", site_code="LYON"),
        "sites_known": "update raw.aside set site_code = 'ATLANTIS' where line_number % 1000 = 1",
        "numbers_known": "update raw.aside set dialled_number = '3999' where line_number % 1000 = 1",
        "departments_known": "update raw.aside set line_department = '99' where line_number % 1000 = 1",
    },
    "numbering_plan": {
        "not_empty": "delete from raw.aside; delete from raw.numbering_plan",
        "last_snapshot_floor": "delete from raw.aside where line_number > 590",
        "regions_agree": "update raw.aside set region_2012 = 'Alsace' where line_number % 30 = 0",
        "volume_floor": 2.1,
        "volume_low": 1.5,
        "volume_high": 0.7,
        "prefixes_resolved": "update raw.aside set department_code = null where line_number % 4 = 0",
        "zones_present": "update raw.aside set prefix = '01' || substr(prefix, 3) where prefix like '05%'",
        "departments_known": "update raw.aside set department_code = '99' where line_number = 7",
    },
    "active_lines": {
        "not_empty": "delete from raw.aside",
        "volume_floor": 2.1,
        "volume_low": 1.5,
        "volume_high": 0.7,
        "markets_present": "update raw.aside set market = 'fixe' where market = 'open'",
        "lines_present": "update raw.aside set lines = 0",
        "lines_kept": "update raw.aside set lines = lines / 1000",
        "lines_steady": "update raw.aside set lines = lines * 1.2",
        "departments_present": "delete from raw.aside where department_code = '29'",
        "months_recent": "update raw.aside set month = '2011-12-01'",
        "departments_known": "update raw.aside set department_code = '20' where department_code = '29'",
    },
    "line_assignments": {
        "not_empty": "delete from raw.aside",
        "volume_floor": 2.1,
        "volume_low": 1.5,
        "volume_high": 0.7,
        "departments_spread": "update raw.aside set department_code = '35' where department_code = '29'",
        "departments_known": "update raw.aside set department_code = '999' where number = '7'",
    },
    "boutiques": {
        "not_empty": "delete from raw.aside; delete from raw.boutiques",
        "volume_floor": 2.1,
        "volume_low": 1.5,
        "volume_high": 0.7,
        "last_snapshot_floor": "delete from raw.aside where line_number > 64",
        "boutiques_open": "update raw.aside set closed_on = '2012-04-25' where line_number > 5",
        "departments_known": "update raw.aside set department_code = '99' where line_number = 7",
    },
    "boutique_visits": {
        "not_empty": "delete from raw.aside",
        "volume_floor": 2.5,
        "volume_low": 1.7,
        "volume_high": 0.7,
        "hours_unshifted": "update raw.aside set arrived_at = arrived_at + interval '2 h'",
        "ids_not_of_others": on_another_date("boutique_visits")
        + "update raw.aside set customer_key = md5('other' || visit_id)::uuid where line_number % 10 < 7",
        "ids_not_of_later_dates": on_another_date("boutique_visits", "2012-04-26"),
        "ids_new": on_another_date("boutique_visits"),
        "nobody_has_much": "update raw.aside set customer_key = md5('C1')::uuid where line_number % 20 = 5",
        "served_share": """
            update raw.aside
            set outcome = case when line_number % 16 = 0 then 'sale' else 'left_unserved' end,
                served_at = case when line_number % 16 = 0 then arrived_at end""",
        "left_unserved_share": """
            update raw.aside set outcome = 'left_unserved', served_at = null where line_number % 10 > 3""",
        "unserved_visits_present": "delete from raw.aside where outcome = 'left_unserved'",
        "sale_share": "update raw.aside set outcome = 'served' where outcome = 'sale'",
        "customers_identified": "update raw.aside set customer_key = null",
        "served_have_served_at": "update raw.aside set served_at = null where line_number % 5 = 1",
        "unserved_have_no_served_at": "update raw.aside set served_at = left_at where line_number % 100 = 0",
        "morning_present": "update raw.aside set arrived_at = arrived_at + interval '6 h'",
        "afternoon_present": "update raw.aside set arrived_at = arrived_at - interval '8 h'",
        "boutiques_heard_from": "update raw.aside set boutique_code = 'B0' where boutique_code ~ '^B[123]'",
        "boutiques_open": "update raw.boutiques set closed_on = '2012-04-25' where boutique_code = 'B3'",
        "boutiques_known": "update raw.aside set boutique_code = 'LOST' where line_number = 7",
    },
    "interventions": {
        "not_empty": "delete from raw.aside",
        "volume_floor": 2.5,
        "volume_low": 1.7,
        "volume_high": 0.7,
        "hours_unshifted": "update raw.aside set updated_at = updated_at + interval '2 h'",
        "ids_not_of_others": on_another_date("interventions")
        + """
            update raw.aside
            set line_key = md5('other' || job_id)::uuid, requested_at = requested_at + interval '1 day'
            where line_number % 10 < 7""",
        "ids_new": on_another_date("interventions", rows="line_number % 10 = 3")
        + """
            update raw.aside
            set line_key = md5('other' || job_id)::uuid, requested_at = requested_at + interval '1 day'
        """,
        "nobody_has_much": "update raw.aside set customer_key = md5('C1')::uuid where line_number % 20 = 5",
        "kinds_present": "update raw.aside set kind = 'repair'",
        "closed_share": "update raw.aside set closed_at = null, result = null",
        "done_share": """
            update raw.aside
            set result = (array['incomplete', 'customer_absent', 'cancelled'])[1 + line_number / 2 % 3]
            where closed_at is not null and line_number % 40 > 0""",
        "undone_jobs_present": "update raw.aside set result = 'done' where closed_at is not null",
        "incomplete_share": """
            update raw.aside set result = 'incomplete'
            where line_number / 2 % 10 < 6 and closed_at is not null""",
        "customer_absent_share": """
            update raw.aside set result = 'customer_absent'
            where line_number / 2 % 10 < 5 and closed_at is not null""",
        "technician_absent_share": """
            update raw.aside set result = 'technician_absent'
            where line_number / 2 % 10 < 7 and closed_at is not null""",
        "cancelled_share": """
            update raw.aside set result = 'cancelled'
            where line_number / 2 % 10 < 7 and closed_at is not null""",
        "updated_on_the_day": """
            update raw.aside set updated_at = updated_at + interval '1 day' where line_number % 5 = 0""",
        "nothing_ahead_of_its_state": """
            update raw.aside set closed_at = updated_at + interval '1 min' where line_number % 4 = 0""",
        "closed_have_result": "update raw.aside set result = null where line_number % 10 = 0",
        "results_have_closed_at": "update raw.aside set closed_at = null where line_number % 10 = 0",
        "slots_have_first_offer": """
            update raw.aside set first_slot_offered_at = null where line_number % 5 = 0""",
        "slots_whole": "update raw.aside set slot_end = null where line_number % 10 = 0",
        "offers_after_request": """
            update raw.aside set first_slot_offered_at = requested_at - interval '1 h'
            where line_number % 10 = 0""",
        "jobs_have_customer": "update raw.aside set customer_key = null where line_number % 3 = 0",
        "jobs_have_line": "update raw.aside set line_key = null where line_number % 3 = 0",
        "units_heard_from": on_another_date(
            "interventions", "2012-04-18", "line_number <= 60", unit_code="UI_LYON", job_id="J0"
        ),
        "units_known": "update raw.aside set unit_code = 'UI_ATLANTIS' where line_number = 7",
        "departments_known": "update raw.aside set department_code = '99' where line_number = 7",
    },
}
# Below half is also below 70 %; who is not served leaves unserved; and so on.
ALSO = {
    "volume_floor": {"volume_low"},
    "fixe_present": {"markets_match_numbers"},
    "internet_present": {"markets_match_numbers"},
    "morning_present": {"hours_unshifted"},
    "afternoon_present": {"hours_unshifted"},
    "lines_present": {"lines_kept", "lines_steady"},
    "lines_kept": {"lines_steady"},
    "not_empty": {"volume_floor", "volume_low"},
    "calls answered_share": {"abandoned_share", "ivr_resolved_share"},
    "ids_not_of_others": {"ids_new"},
    "ids_not_of_later_dates": {"ids_new"},
    "boutiques last_snapshot_floor": {"volume_low"},
    "boutique_visits served_share": {"left_unserved_share"},
    "numbering_plan last_snapshot_floor": {"volume_floor", "volume_low"},
    "active_lines departments_known": {"departments_present"},
}


def expectations(feed: str) -> dict[str, str]:
    """Name and severity of every expectation of the feed's suite."""
    suite = json.loads((PROJECT / "expectations" / "landing" / f"{feed}.json").read_text())
    return {each["meta"]["name"]: each["severity"] for each in suite["expectations"]}


@pytest.fixture
def platform(warehouse: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A warehouse with its own home, where Data Docs go."""
    return replace(warehouse, home=tmp_path / "home")


def load(settings: Settings, feed: str) -> None:
    """A healthy delivery of `feed`, prepared in raw.aside."""
    columns = ", ".join(f"{column.name} {column.type.sql}" for column in feeds.get(feed).loaded_columns)
    with warehouse.connect(settings, "loader") as connection:
        connection.execute(f"create table raw.aside ({columns})")
        connection.execute(HEALTHY[feed])


def execute(settings: Settings, statement: str) -> None:
    with warehouse.connect(settings, "loader") as connection:
        connection.execute(statement)


def check(settings: Settings, feed: str, history: History = FIRST_DAY, day: date = DAY) -> Verdict:
    return quality.check_delivery(settings, feed, "raw.aside", day, history)


def usual(rows: float, days: int = 4, measures: Mapping[str, Any] | None = None) -> History:
    """Like days of so many rows, of which so much was measured."""
    like = (
        PastDelivery(DAY - timedelta(weeks=ago), int(rows), {} if measures is None else measures)
        for ago in range(1, days + 1)
    )
    return History(tuple(like), near_dates=tuple(DAY + timedelta(days=days) for days in (-7, -1, 1)))


def healthy_days(settings: Settings, feed: str) -> History:
    """Four like days, each equal to the prepared healthy delivery."""
    if feed not in MEASURED:
        MEASURED[feed] = check(settings, feed).measures
    return usual(USUAL[feed], measures=MEASURED[feed])


def found(verdict: Verdict) -> set[str]:
    return {finding.expectation for finding in (*verdict.failures, *verdict.warnings)}


@pytest.mark.parametrize("feed", sorted(HEALTHY))
def test_a_healthy_delivery_passes_and_every_expectation_is_judged(platform: Settings, feed: str) -> None:
    load(platform, feed)
    verdict = check(platform, feed, healthy_days(platform, feed))
    assert verdict.passed
    assert found(verdict) == set()
    assert verdict.not_evaluated == []
    assert verdict.suite == f"landing/{feed}"


def test_every_expectation_is_shown_to_fail() -> None:
    assert {feed: set(breaks) for feed, breaks in BREAKS.items()} == {
        path.stem: set(expectations(path.stem)) for path in (PROJECT / "expectations/landing").glob("*.json")
    }


@pytest.mark.parametrize(("feed", "name"), [(feed, name) for feed in BREAKS for name in BREAKS[feed]])
def test_a_delivery_that_breaks_one_expectation_is_reported_for_it_alone(
    platform: Settings, feed: str, name: str
) -> None:
    load(platform, feed)
    broken = BREAKS[feed][name]
    history = healthy_days(platform, feed)
    if isinstance(broken, str):
        execute(platform, broken)
    else:
        history = usual(broken * USUAL[feed], measures=history.like[0].measures)
    verdict = check(platform, feed, history)
    assert found(verdict) == {name} | ALSO.get(name, set()) | ALSO.get(f"{feed} {name}", set())
    refuses = expectations(feed)[name] == "critical"
    assert verdict.passed is not refuses
    (finding,) = (each for each in (*verdict.failures, *verdict.warnings) if each.expectation == name)
    assert finding.severity == ("fail" if refuses else "warn")
    assert finding.message.startswith(f"{feed} 2012-04-25: ")
    assert finding.message.endswith(f"(expectation {name}, owner {finding.owner})")
    assert "{" not in finding.message and "None" not in finding.message


def test_a_collapsed_volume_is_refused_in_plain_words(platform: Settings) -> None:
    load(platform, "calls")
    verdict = check(platform, "calls", usual(10_400))
    assert [finding.message for finding in verdict.failures] == [
        "calls 2012-04-25: 2,400 legs, 23 % of the usual 10,400 for a day like this Wednesday; "
        "have the extract completed and deliver the day again "
        "(expectation volume_floor, owner customer-service)"
    ]


@pytest.mark.parametrize(("factor", "names"), [(0.7, {"volume_high"}), (0.77, set()), (1.42, set())])
def test_volume_between_70_and_130_percent_gives_no_warning(
    platform: Settings, factor: float, names: set[str]
) -> None:
    load(platform, "calls")
    verdict = check(platform, "calls", usual(factor * 2400))
    assert verdict.passed
    assert found(verdict) == names


def test_fewer_than_four_like_days_only_warn(platform: Settings) -> None:
    load(platform, "calls")
    verdict = check(platform, "calls", usual(10_400, days=3))
    assert verdict.passed
    assert found(verdict) == {"volume_low"}
    assert "10,400 for a day like this Wednesday (median of 3 like days)" in verdict.warnings[0].message
    assert "volume_floor" in verdict.not_evaluated


def test_without_history_volume_is_not_judged(platform: Settings) -> None:
    load(platform, "calls")
    verdict = check(platform, "calls")
    assert verdict.outcome == "passed"
    assert verdict.not_evaluated == ["volume_floor", "volume_low", "volume_high", "hours_unshifted"]


def test_a_handful_of_legs_is_not_judged(platform: Settings) -> None:
    load(platform, "calls")
    execute(platform, "delete from raw.aside where line_number > 20 or outcome <> 'blocked'")
    execute(platform, "insert into raw.aside (call_id, leg_no, outcome) values ('C1', 1, 'blocked')")
    verdict = check(platform, "calls")
    assert verdict.outcome == "passed"


@pytest.mark.parametrize("feed", ["boutique_visits", "interventions", "boutiques"])
def test_a_handful_of_rows_of_any_feed_is_not_judged(platform: Settings, feed: str) -> None:
    load(platform, feed)
    strange = {
        "boutique_visits": "outcome = 'left_unserved', customer_key = null",
        "interventions": "result = null, slot_end = null, customer_key = null, updated_at = '2011-01-01'",
        "boutiques": "closed_on = opened_on",
    }
    rows = 90 if feed == "boutiques" else 2
    execute(platform, f"delete from raw.aside where line_number > {rows}")
    execute(platform, f"update raw.aside set {strange[feed]}")
    assert found(check(platform, feed, usual(rows))) == set()


REST = """
    insert into raw.aside (
        business_date, line_number, job_id, updated_at, unit_code, kind, market, department_code,
        requested_at, closed_at, result, customer_key, line_key
    )
    select
        '2012-04-29', state, 'J' || state, updated, 'UI_RENNES',
        (array['repair', 'installation'])[1 + state % 2],
        'fixe', '35', updated - interval '3 days', case when state % 4 = 0 then updated end,
        case when state % 4 = 0 then 'cancelled' end, md5('c' || state)::uuid, md5('l' || state)::uuid
    from generate_series(1, {rows}) as state
    cross join lateral (
        select timestamptz '2012-04-29 08:00+02' + state % 12 * interval '1 h' as updated
    ) as moment
"""


@pytest.mark.parametrize("day", [date(2012, 4, 29), date(2012, 5, 1)], ids=["Sunday", "public holiday"])
def test_units_on_rest_days_close_only_cancelled_jobs(platform: Settings, day: date) -> None:
    load(platform, "interventions")
    execute(platform, f"delete from raw.aside; {REST.format(rows=800)}")
    execute(
        platform,
        f"update raw.aside set updated_at = updated_at + ('{day}' - date '2012-04-29') * interval '1 d'",
    )
    first = check(platform, "interventions", day=day)
    assert first.outcome == "passed", "the feed's first day"
    like = usual(800, measures=first.measures)
    assert check(platform, "interventions", like, day).outcome == "passed"
    # The same on a working day, where it is surprising: no work was done.
    working = usual(800, measures=load_and_measure(platform, "interventions"))
    execute(platform, f"delete from raw.aside; {REST.format(rows=800)}")
    assert "cancelled_share" in found(check(platform, "interventions", working))


def load_and_measure(settings: Settings, feed: str) -> dict[str, Any]:
    execute(settings, "drop table raw.aside")
    load(settings, feed)
    return check(settings, feed).measures


@pytest.mark.parametrize(
    ("rows", "usually", "names"),
    [
        (0, 6, set()),
        (3, 10, set()),
        (0, 40, {"volume_floor", "volume_low"}),
        (60, 200, {"volume_floor", "volume_low"}),
        (100, 200, {"volume_low"}),
        (160, 200, set()),
    ],
)
def test_a_small_sunday_is_too_few_only_beyond_chance(
    platform: Settings, rows: int, usually: int, names: set[str]
) -> None:
    load(platform, "interventions")
    execute(platform, f"delete from raw.aside; {REST.format(rows=rows)}")
    verdict = check(platform, "interventions", usual(usually), date(2012, 4, 29))
    assert found(verdict) == names


@pytest.mark.parametrize(
    ("feed", "statement", "names"),
    [
        ("calls", "outcome = 'abandoned'", {"answered_share", "abandoned_share"}),
        ("calls", "market = 'fixe', dialled_number = '3901'", {"internet_present"}),
        ("boutique_visits", "outcome = 'left_unserved', served_at = null", {"served_share"}),
        ("interventions", "result = 'cancelled', closed_at = updated_at", {"closed_share"}),
    ],
)
def test_a_wholly_wrong_day_is_reported_without_like_days(
    platform: Settings, feed: str, statement: str, names: set[str]
) -> None:
    load(platform, feed)
    execute(platform, f"update raw.aside set {statement}")
    assert found(check(platform, feed)) >= names


def test_repeated_ids_of_the_same_callers_do_not_refuse(platform: Settings) -> None:
    load(platform, "calls")
    execute(platform, on_another_date("calls"))
    verdict = check(platform, "calls", healthy_days(platform, "calls"))
    assert verdict.passed and found(verdict) == {"ids_new"}


@pytest.mark.parametrize(
    ("rows", "says"), [("true", "fail"), ("line_number % 4 < 2", "warn")], ids=["all", "half"]
)
@pytest.mark.parametrize("feed", ["calls", "boutique_visits", "interventions"])
def test_restarted_ids_are_reported_even_without_known_callers(
    platform: Settings, feed: str, rows: str, says: str
) -> None:
    load(platform, feed)
    nobody = {
        "calls": {"caller_key": None, "customer_key": None},
        "boutique_visits": {"customer_key": None},
        "interventions": {"customer_key": None, "line_key": None},
    }[feed]
    other = {
        "calls": {"dialled_number": "3999"},
        "boutique_visits": {"boutique_code": "B0", "reason_code": "move"},
        "interventions": {"department_code": "971", "requested_at": "2012-04-01T10:00:00+02:00"},
    }[feed]
    execute(platform, on_another_date(feed, rows=rows, **nobody, **other))
    execute(platform, f"update raw.aside set {', '.join(f'{name} = null' for name in nobody)}")
    verdict = check(platform, feed, usual(USUAL[feed]))
    reported = {
        each.severity: each for each in (*verdict.failures, *verdict.warnings) if "ids_" in each.expectation
    }
    assert set(reported) == {"warn", says}
    assert "ids were already delivered on 2012-04-24, " in reported[says].message


def test_ids_of_a_date_far_away_are_found_where_bi_sees_it(platform: Settings) -> None:
    """A late delivery with the ids of nine days later, which it would empty, whoever they belong to."""
    load(platform, "calls")
    execute(platform, on_another_date("calls", "2012-05-04"))
    assert found(check(platform, "calls", usual(2400))) == set()
    with warehouse.connect(platform, "transformer") as connection:
        connection.execute(
            "create table marts.fct_calls as select distinct business_date, call_id from raw.calls"
        )
    (failure,) = check(platform, "calls", usual(2400)).failures
    assert "2,000 of 2,000 call ids were already delivered on a later date (2012-05-04)" in failure.message
    execute(
        platform, "update raw.aside set call_id = 'new ' || call_id where abs(hashtext(call_id)) % 10 > 1"
    )
    verdict = check(platform, "calls", usual(2400))
    assert verdict.passed and found(verdict) == {"ids_new"}


def test_a_customer_with_a_twentieth_of_the_calls_is_reported_without_number(platform: Settings) -> None:
    load(platform, "calls")
    for column, kind in (("customer_key", "customer"), ("caller_key", "caller number")):
        execute(platform, f"update raw.aside set {column} = md5('one')::uuid where line_number % 20 < 2")
        (warning,) = (
            each for each in check(platform, "calls").warnings if each.expectation == "nobody_has_much"
        )
        assert f"one {kind} has " in warning.message and "of 2,000 calls" in warning.message
        execute(platform, f"update raw.aside set {column} = null")


def test_one_line_of_half_the_jobs_is_reported(platform: Settings) -> None:
    load(platform, "interventions")
    execute(platform, "update raw.aside set line_key = md5('one')::uuid where line_number % 2 = 1")
    (warning,) = check(platform, "interventions").warnings
    assert "one line has 1,200 of 2,400 states (50.0 %, the first in line 1)" in warning.message


@pytest.mark.parametrize("hours", [-2, -1, 1, 2])
def test_clocks_off_by_whole_hours_are_reported(platform: Settings, hours: int) -> None:
    load(platform, "calls")
    execute(platform, "update raw.aside set offered_at = offered_at + (line_number % 3) * interval '1 h'")
    like = usual(2400, measures=check(platform, "calls").measures)
    execute(platform, f"update raw.aside set offered_at = offered_at + {hours} * interval '1 h'")
    (warning,) = (
        each for each in check(platform, "calls", like).warnings if each.expectation == "hours_unshifted"
    )
    assert f"the legs are shifted by {hours:+d} h from the hours of days like this" in warning.message


@pytest.mark.parametrize("feed", ["boutique_visits", "interventions"])
@pytest.mark.parametrize(
    ("day", "is_due"),
    [(DAY, True), (date(2012, 4, 29), False), (date(2012, 5, 1), False), (date(2012, 4, 6), True)],
    ids=["Wednesday", "Sunday", "public holiday", "holiday of some departments"],
)
def test_sundays_and_public_holidays_may_be_empty(
    platform: Settings, feed: str, day: date, is_due: bool
) -> None:
    load(platform, feed)
    execute(platform, "delete from raw.aside")
    verdict = check(platform, feed, day=day)
    assert found(verdict) == ({"not_empty"} if is_due else set())
    assert verdict.passed is not is_due


def test_sunday_openings_of_boutiques_do_not_count_as_volume(platform: Settings) -> None:
    load(platform, "boutique_visits")
    history = usual(20 * USUAL["boutique_visits"])
    assert found(check(platform, "boutique_visits", history, DAY)) == {"volume_floor", "volume_low"}
    execute(platform, "update raw.aside set arrived_at = arrived_at + interval '4 days'")
    verdict = check(platform, "boutique_visits", history, date(2012, 4, 29))
    assert not found(verdict) & {"volume_floor", "volume_low"}
    assert {"volume_floor", "volume_low", "volume_high"} <= set(verdict.not_evaluated)


def test_boutiques_are_checked_against_the_snapshot_in_force(platform: Settings) -> None:
    load(platform, "boutique_visits")
    execute(
        platform,
        "create table raw.boutiques__20120501_2 partition of raw.boutiques for values in ('2012-05-01');"
        "insert into raw.boutiques (business_date, file_number, line_number, boutique_code, name, "
        "department_code, opened_on) values ('2012-05-01', 1, 2, 'B1', 'Boutique', '35', '2001-01-01')",
    )

    def reported(day: date) -> list[str]:
        verdict = check(platform, "boutique_visits", day=day)
        assert verdict.passed
        return [each.message for each in verdict.warnings if each.expectation == "boutiques_known"]

    assert reported(DAY) == [], "a later snapshot says nothing of the day"
    assert reported(date(2012, 3, 28)) == [], "before the first snapshot the first one counts"
    (message,) = reported(date(2012, 5, 2))
    assert (
        "2,340 visits name a boutique that is not in the snapshot of 2012-05-01 (B0, B10, B11, B12, B13) "
        "and count as boutique unknown" in message
    )
    execute(platform, "delete from raw.boutiques")
    verdict = check(platform, "boutique_visits")
    assert found(verdict) == set()
    assert {"boutiques_known", "boutiques_open"} < set(verdict.not_evaluated), "nothing is known of any yet"


def test_unknown_codes_alone_do_not_refuse(platform: Settings) -> None:
    load(platform, "interventions")
    execute(platform, "update raw.aside set unit_code = 'UI_' || line_number, department_code = '99'")
    verdict = check(platform, "interventions")
    assert verdict.passed
    assert found(verdict) == {"units_known", "departments_known"}
    assert "2,400 states name an unknown unit (UI_1, UI_10, UI_100, " in verdict.warnings[0].message


def test_a_snapshot_with_less_than_half_the_boutiques_is_refused(platform: Settings) -> None:
    load(platform, "boutiques")
    execute(platform, "delete from raw.aside where line_number > 64")
    (failure,) = check(platform, "boutiques").failures
    assert failure.message == (
        "boutiques 2012-04-25: 64 boutiques, below 50 % of the 130 of the snapshot of 2012-03-01; "
        "have the snapshot completed and deliver it again "
        "(expectation last_snapshot_floor, owner retail)"
    )
    # Earlier than all that are published: there is none before it.
    verdict = check(platform, "boutiques", day=date(2012, 2, 1))
    assert verdict.passed
    assert "last_snapshot_floor" in verdict.not_evaluated
    # The snapshot of its own date, which it would replace, is not the one before it.
    verdict = check(platform, "boutiques", day=date(2012, 3, 1))
    assert "last_snapshot_floor" in verdict.not_evaluated


def test_findings_name_the_unknown_codes_and_how_many_rows_hold_them(platform: Settings) -> None:
    load(platform, "calls")
    execute(
        platform, "update raw.aside set site_code = 'LOST' || line_number % 7 where line_number % 100 = 1"
    )
    verdict = check(platform, "calls")
    (warning,) = verdict.warnings
    assert "40 legs name an unknown site (LOST0, LOST1, LOST2, LOST3, LOST4)" in warning.message
    assert "add the site to dbt_project/seeds/sites.csv" in warning.message
    execute(platform, "update raw.aside set site_code = repeat('x', 500) where site_code like 'LOST%'")
    (warning,) = check(platform, "calls").warnings
    assert "x" * 40 in warning.message and "x" * 41 not in warning.message


def test_a_feed_without_a_suite_passes_and_says_so(platform: Settings) -> None:
    assert check(platform, "payphones") == Verdict(passed=True, suite=None)
    assert not platform.home.exists()


def test_a_missing_parameter_is_an_error(platform: Settings, tmp_path: Path) -> None:
    project = altered_project(tmp_path, "from counted", "from counted where %(weather)s is null")
    load(platform, "line_assignments")
    with pytest.raises(QualityError, match=r"line_assignments needs weather, which the caller did not give"):
        check(replace(platform, project=project), "line_assignments")


def altered_project(folder: Path, old: str, new: str) -> Path:
    """A project with a changed suite of line assignments."""
    project = folder / "project"
    suites = project / "expectations" / "landing"
    suites.mkdir(parents=True)
    (project / "dbt_project").symlink_to(PROJECT / "dbt_project")
    for name in ("line_assignments.json", "line_assignments.sql"):
        text = (PROJECT / "expectations" / "landing" / name).read_text()
        (suites / name).write_text(text.replace(old, new))
    return project


def test_measures_that_do_not_fit_the_table_name_both(platform: Settings) -> None:
    load(platform, "line_assignments")
    with pytest.raises(
        QualityError, match=r"expectations/landing/calls.sql cannot measure calls 2012-04-25: column"
    ):
        check(platform, "calls")


def test_a_lost_connection_is_not_blamed_on_the_suite(
    platform: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = warehouse.connect

    @contextmanager
    def cut_off(settings: Settings, role: Role, **named: Any) -> Iterator[psycopg.Connection[Any]]:
        with connect(settings, role, **named) as connection, connect(settings, "admin") as other:
            other.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
            yield connection

    load(platform, "calls")
    monkeypatch.setattr(warehouse, "connect", cut_off)
    with pytest.raises(psycopg.OperationalError, match="terminating connection"):
        check(platform, "calls")


def test_an_expectation_without_a_measure_is_an_error(platform: Settings, tmp_path: Path) -> None:
    project = altered_project(tmp_path, '"column": "numbers"', '"column": "nombres"')
    load(platform, "line_assignments")
    with pytest.raises(QualityError, match=r"not_empty judges `nombres`, which its SQL does not measure"):
        check(replace(platform, project=project), "line_assignments")


def test_the_run_is_saved_with_its_page_and_no_secret(platform: Settings) -> None:
    load(platform, "calls")
    execute(platform, "update raw.aside set site_code = 'ATLANTIS' where line_number % 1000 = 1")
    verdict = check(platform, "calls")
    assert verdict.page is not None
    page = quality.data_docs(platform) / verdict.page
    assert "ATLANTIS" in page.read_text()
    saved = json.loads(page.with_suffix(".json").read_text())
    assert saved["measures"]["legs"] == 2400
    result = json.loads(page.with_suffix(".result.json").read_text())
    judged = len(expectations("calls")) - len(verdict.not_evaluated)
    assert result["statistics"]["evaluated_expectations"] == judged > 20
    password = warehouse.parameters(platform, "loader")["password"]
    files = [path for path in platform.home.rglob("*") if path.is_file()]
    assert len(files) == 6, "page, summary, result; index, its data, its lock"
    assert not [path for path in files if password in path.read_text()]


def test_no_connection_keeps_the_table_locked(platform: Settings) -> None:
    load(platform, "calls")
    check(platform, "calls")
    with warehouse.connect(platform, "admin") as connection:
        others = connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid() and backend_type = 'client backend'"
        ).fetchone()
    assert others == (0,)


def copy_calls(settings: Settings, files: list[Path], day: date) -> None:
    """A delivered day as the loader would load it, without pseudonyms."""
    columns = [column.name for column in feeds.get("calls").stored_columns]
    with warehouse.connect(settings, "loader") as connection:
        types = ", ".join(f"{column.name} {column.type.sql}" for column in feeds.get("calls").stored_columns)
        connection.execute("drop table if exists raw.aside")
        connection.execute(f"create table raw.aside ({types})")
        statement = sql.SQL("copy raw.aside ({}) from stdin").format(
            sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with connection.cursor().copy(statement) as copy:
            for file in files:
                with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
                    for number, row in enumerate(csv.DictReader(lines), start=2):
                        copy.write_row([stored(row, name, day, number) for name in columns])


def stored(row: dict[str, str], column: str, day: date, line: int) -> str | int | date | None:
    number = row["caller_number"] if row["caller_number"][:1] in "+0" else ""
    number = "" if number == "+266696687" else number

    def key(text: str) -> str | None:
        return str(uuid5(NAMESPACE_OID, text)) if text else None

    made = {
        "business_date": day,
        "file_number": 1,
        "line_number": line,
        "caller_key": key(number),
        "caller_prefix": f"0{number[3:8]}" if number.startswith("+33") else None,
        "customer_key": key(row["customer_ref"]),
        "agent_key": key(row["agent_ref"]),
        "customer_identity": None,
        "caller_identity": None,
        "row_identity": line,
    }
    return made[column] if column in made else row[column] or None


def test_every_day_of_a_real_call_log_passes(platform: Settings, shared_data: Path) -> None:
    folders = sorted((shared_data / "bank_1999_02" / "calls").glob("date=*"))
    assert len(folders) == 28
    for folder in folders:
        day = date.fromisoformat(folder.name.removeprefix("date="))
        copy_calls(platform, [folder / "calls.csv.gz"], day)
        verdict = check(platform, "calls", day=day)
        assert verdict.passed
        # The bank's one site is not among the operator's: counted as unknown, never refused.
        assert found(verdict) == {"sites_known"}, day


def test_ordinary_simulated_days_pass_without_findings(platform: Settings, tmp_path: Path) -> None:
    simulate(date(2012, 4, 28), date(2012, 5, 1), scale=0.01, seed=7, out=str(tmp_path / "landing"))
    folders = sorted((tmp_path / "landing" / "calls").glob("date=*"))
    assert len(folders) == 4
    for folder in folders:
        day = date.fromisoformat(folder.name.removeprefix("date="))
        copy_calls(platform, sorted(folder.glob("*.csv*")), day)
        verdict = check(platform, "calls", day=day)
        assert found(verdict) == set(), day


def test_ordinary_simulated_shops_and_units_pass_without_findings(platform: Settings, tmp_path: Path) -> None:
    """A Saturday, a Sunday, a Monday, a public holiday and a Wednesday."""
    landing = tmp_path / "deliveries"
    simulate(date(2012, 4, 28), date(2012, 5, 2), scale=0.01, seed=7, out=str(landing))
    platform = replace(platform, landing=str(landing))
    read = {}
    for feed in ("boutiques", "boutique_visits", "interventions"):
        folders = sorted((landing / feed).glob("date=*"))
        outcomes = [ingest(platform, feed, date.fromisoformat(folder.name[5:])) for folder in folders]
        assert [(outcome.status, outcome.warnings) for outcome in outcomes] == [("published", [])] * len(
            folders
        )
        read[feed] = [outcome.rows_read for outcome in outcomes]
    assert len(read["boutique_visits"]) == len(read["interventions"]) == 5
    assert min(read["boutique_visits"]) < 10 and max(read["boutique_visits"]) > 1000
    assert min(read["interventions"]) > 0 and read["boutiques"]
