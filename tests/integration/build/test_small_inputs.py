"""Small inputs that once came out wrong in the marts: the original ones and similar ones."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from parc import desk
from parc.build import build
from parc.loading import Outcome, ingest
from parc.settings import Settings
from support.channels import deliver, visit
from support.deliveries import leg
from support.marts import rows

DAY = date(2012, 4, 25)
NEXT = DAY + timedelta(days=1)
PREFIXES = [
    {
        "prefix": prefix,
        "operator_code": "FT",
        "zne_insee": "",
        "zne_name": "",
        "department_code": department,
        "region_2012": "",
    }
    for prefix, department in (("029900", "35"), ("050841", "975"), ("049520", "20"))
]
HOMES = (
    "select home_source, home_region_code, home_directorate_code, home_department_code from marts.fct_calls "
    "where call_id = '{}'"
)


def call(number: int, day: date, **columns: str) -> dict[str, str]:
    """An answered call of ten o'clock, Paris time."""
    known = {"customer_ref": "", "line_department": "", "caller_number": ""}
    return leg(9 * number + 1, datetime(day.year, day.month, day.day, 8, tzinfo=UTC)) | known | columns


def hand_in(settings: Settings, feed: str, day: date, file: Path) -> Outcome:
    """Load a file as the day's delivery, replacing the earlier delivery."""
    folder = Path(settings.landing) / feed / f"date={day}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(file, folder / f"{feed}.csv")
    return ingest(settings, feed, day)


@pytest.fixture(scope="module")
def built(module_warehouse: Settings) -> Iterator[Settings]:
    """Calls from every kind of department; calls and visits whose ids restart on the next day."""
    deliver(module_warehouse, "numbering_plan", DAY, PREFIXES)
    departments = ("35", "975", "20", "999", "2A", "00")
    from_file = [
        call(number, DAY, call_id=f"file {department}", line_department=department)
        for number, department in enumerate(departments)
    ]
    numbers = {"35": "+33299000001", "975": "+508412345", "20": "+33495200001", "nowhere": "+33987654321"}
    by_prefix = [
        call(number, DAY, call_id=f"prefix {department}", caller_number=text)
        for number, (department, text) in enumerate(numbers.items(), start=20)
    ]
    both = call(40, DAY, call_id="both", line_department="975", caller_number="+33299000002")
    deliver(module_warehouse, "calls", DAY, [*from_file, *by_prefix, both])
    other_leg = call(50, NEXT, call_id="both", leg_no="2", caller_number="+33299000003")
    first_leg = call(50, NEXT, call_id="both", caller_number="+33299000003")
    deliver(module_warehouse, "calls", NEXT, [call(51, NEXT, call_id="new"), first_leg, other_leg])
    deliver(module_warehouse, "boutique_visits", DAY, [visit(f"A{each}", DAY) for each in range(3)])
    deliver(module_warehouse, "boutique_visits", NEXT, [visit(f"A{each}", NEXT) for each in range(4)])
    build(module_warehouse)
    yield module_warehouse


@pytest.mark.parametrize(
    ("call_id", "home"),
    [
        ("file 35", ("customer_file", "53", "OUEST", "35")),
        ("file 2A", ("customer_file", "94", "SUD_EST", "2A")),
        ("file 20", ("customer_file", "94", "SUD_EST", None)),
        ("file 975", ("customer_file", "unknown", "unknown", "975")),
        ("file 999", ("unknown", "unknown", "unknown", None)),
        ("file 00", ("unknown", "unknown", "unknown", None)),
        ("prefix 35", ("prefix", "53", "OUEST", "35")),
        ("prefix 20", ("prefix", "94", "SUD_EST", None)),
        ("prefix 975", ("prefix", "unknown", "unknown", "975")),
        ("prefix nowhere", ("unknown", "unknown", "unknown", None)),
        ("both", ("customer_file", "unknown", "unknown", "975")),
    ],
)
def test_every_department_is_kept_or_unknown(built: Settings, call_id: str, home: tuple[str]) -> None:
    assert rows(built, HOMES.format(call_id)) == [home]


def test_only_unknown_values_are_reported_as_unknown(built: Settings) -> None:
    [(warnings,)] = rows(
        built,
        f"select warnings from ops.delivery where feed = 'calls' and business_date = '{DAY}' "
        "order by delivery_id limit 1",
    )
    reported = [text for text in warnings if "department" in text]
    assert len(reported) == 1 and "2 legs name an unknown line department (00, 999)" in reported[0], warnings


def test_file_and_prefix_may_disagree_on_a_place_without_region(built: Settings) -> None:
    assert rows(
        built,
        "select prefix_compared_count, prefix_disagreement_count, resolved_by_customer_file_count "
        f"from marts.mart_service_quality_daily where business_date = '{DAY}' and region_code = 'unknown' "
        "and prefix_compared_count > 0",
    ) == [(1, 1, 0)]


def test_rows_lost_to_earlier_dates_are_in_the_feed_health(built: Settings) -> None:
    """Of calls, legs; three of the four visits of the next day have ids of the day before."""
    found = rows(
        built,
        "select feed, business_date, rows_published, rows_repeated from marts.mart_feed_health "
        "where status = 'published' order by 1, 2",
        "bi_reader",
    )
    assert found == [
        ("boutique_visits", DAY, 3, 0),
        ("boutique_visits", NEXT, 4, 3),
        ("calls", DAY, 11, 0),
        ("calls", NEXT, 3, 2),
        ("numbering_plan", DAY, 3, None),
    ]
    (finding,) = (each for each in desk.findings(built) if each.kind == "repeated ids")
    assert finding.is_wrong and finding.subject.name == "2 deliveries"
    assert f"boutique_visits {NEXT} (3 of 4 rows), calls {NEXT} (2 of 3 rows)" in finding.text


@pytest.mark.parametrize("name", ["legs", "calls"])
def test_case_02_an_absurd_duration_is_rejected_by_name(
    warehouse: Settings, shared_data: Path, name: str
) -> None:
    file = shared_data / "cases" / "02-integer-overflow-stops-builds" / f"{name}.csv"
    outcome = hand_in(warehouse, "calls", DAY, file)
    assert outcome.status == "refused", "half of its rows or more"
    held = rows(warehouse, "select column_name, reason from ops.quarantine")
    column = "talk_s" if name == "legs" else "wrap_up_s"
    assert held == [(column, f"`{column}` is outside 0..86400")] * (2 if name == "legs" else 1)


@pytest.fixture(scope="module")
def handed_over(built: Settings, shared_data: Path) -> Settings:
    """Cases 24 and 25 in place of what was there."""
    cases = shared_data / "cases"
    calls = hand_in(built, "calls", DAY, cases / "24-department-975" / "calls.csv")
    assert calls.status == "published", calls.message
    assert not [text for text in calls.warnings if "975" in text]
    jobs = hand_in(built, "interventions", DAY, cases / "25-slot-called-off" / "interventions.csv")
    assert jobs.status == "published", jobs.message
    build(built)
    return built


def test_case_24_a_department_outside_parc(handed_over: Settings) -> None:
    assert rows(handed_over, HOMES.format("c1")) == [("customer_file", "unknown", "unknown", "975")]
    assert rows(handed_over, HOMES.format("c2")) == [("customer_file", "53", "OUEST", "35")]


def test_case_25_slots_called_off(handed_over: Settings) -> None:
    found = rows(
        handed_over,
        "select job_id, slot_date, outcome from intermediate.int_intervention_slots order by 1, 2",
    )
    assert found == [
        ("J1", DAY, "moved_by_customer"),
        ("J1", DAY + timedelta(days=2), "missed"),
        ("J2", DAY, "missed"),
    ]
    assert rows(
        handed_over,
        "select sum(appointment_count)::integer, sum(appointment_kept_count)::integer "
        f"from marts.mart_interventions_daily where business_date = '{DAY}'",
    ) == [(1, 0)]


def test_case_07_restarted_ids_are_reported(handed_over: Settings, shared_data: Path, tmp_path: Path) -> None:
    """All of them refuse the day; of half of them the day is published, and what it loses is counted."""
    first, second = (
        shared_data / "cases" / "07-ids-that-begin-anew-each-day" / f"calls_{day}.csv" for day in (DAY, NEXT)
    )
    assert hand_in(handed_over, "calls", DAY, first).status == "published"
    refused = hand_in(handed_over, "calls", NEXT, second)
    assert refused.status == "refused"
    assert f"10 of 10 call ids were already delivered on {DAY}, by other callers" in refused.message

    half = tmp_path / second.name
    half.write_text(re.sub(r"^c([1-5]),", r"new\1,", second.read_text(), flags=re.MULTILINE))
    published = hand_in(handed_over, "calls", NEXT, half)
    assert published.status == "published"
    (warning,) = published.warnings
    assert f"5 of 10 call ids were already delivered on {DAY}, 5 of them by other callers" in warning
    build(handed_over)
    assert rows(
        handed_over,
        "select business_date, rows_published, rows_repeated from marts.mart_feed_health "
        "where feed = 'calls' order by 1",
    ) == [(DAY, 10, 0), (NEXT, 10, 5)]
