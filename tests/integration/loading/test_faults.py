"""Every named fault of the simulated operator, loaded: the ledger shows what the fault's record promises."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from parc import feeds
from parc.build import build
from parc.loading import Outcome, ingest
from parc.settings import Settings
from parc.simulate import simulate
from parc.simulate.faults import FAULTS, UNKNOWN_CODE
from support.deliveries import query
from support.faults import Record, check_outcome, raw_rows

SCALE, SEED = 0.01, 5
FIRST, LAST = date(2012, 3, 5), date(2012, 4, 14)
EASTER_MONDAY = date(2012, 4, 9)
FEEDS = ("calls", "boutique_visits", "interventions")
STORIES = [name for name, fault in FAULTS.items() if len(fault.stages) > 1]
AT_ONCE = [
    (name, feed)
    for name, fault in FAULTS.items()
    for feed in fault.feeds
    if name not in STORIES and feed in FEEDS
]
REFUSED = [name for name, feed in AT_ONCE if feed == "calls" and FAULTS[name].stages[0].outcome == "refused"]


@dataclass(frozen=True)
class LoadProgress:
    """The outcome of every single-stage fault, after publishing the days that it relies on."""

    settings: Settings
    outcomes: dict[tuple[str, str], Outcome]
    records: dict[tuple[str, str], Record]


def make(settings: Settings, first: date, last: date, faults: Iterable[str] = ()) -> None:
    simulate(first, last, scale=SCALE, seed=SEED, out=settings.landing, faults=faults)


def records(settings: Settings) -> list[Record]:
    reported: list[Record] = json.loads((Path(settings.landing) / "faults.json").read_text())
    return reported


def stands_on(fault: str, day: date, hit: set[date]) -> list[date]:
    """The good days that must be published for the fault's promise."""
    if FAULTS[fault].needs_day_before:
        return [day - timedelta(days=1)]
    weeks = [day - timedelta(days=7 * ago) for ago in range(1, 6)]
    return [each for each in weeks if each not in {*hit, EASTER_MONDAY}][: FAULTS[fault].like_days]


@pytest.fixture(scope="module")
def loaded(module_warehouse: Settings) -> LoadProgress:
    make(module_warehouse, FIRST, LAST, [f"{name}@{feed}" for name, feed in AT_ONCE])
    reported = {(each["fault"], each["feed"]): each for each in records(module_warehouse)}
    hit = {key: date.fromisoformat(record["business_date"]) for key, record in reported.items()}
    wanted = {(feed, day) for (_, feed), day in hit.items()}
    for (fault, feed), day in hit.items():
        of_feed = {each for (_, other), each in hit.items() if other == feed}
        wanted |= {(feed, each) for each in stands_on(fault, day, of_feed)}
    ingest(module_warehouse, "boutiques", FIRST)
    outcomes = {
        (feed, day): ingest(module_warehouse, feed, day)
        for feed, day in sorted(wanted, key=lambda each: each[1])
    }
    return LoadProgress(module_warehouse, {key: outcomes[key[1], day] for key, day in hit.items()}, reported)


@pytest.fixture(scope="module")
def clean(module_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The same warehouse with a landing zone without faults."""
    settings = replace(module_warehouse, landing=str(tmp_path_factory.mktemp("clean")))
    make(settings, FIRST, LAST)
    return settings


@pytest.mark.parametrize(("fault", "feed"), AT_ONCE)
def test_every_fault_gets_its_promised_response(loaded: LoadProgress, fault: str, feed: str) -> None:
    check_outcome(loaded.settings, loaded.outcomes[fault, feed], loaded.records[fault, feed])


def test_every_fault_is_loaded(loaded: LoadProgress) -> None:
    assert set(loaded.outcomes) == set(AT_ONCE)
    assert {name for name, _ in AT_ONCE} | set(STORIES) == set(FAULTS)


@pytest.mark.parametrize("feed", FEEDS)
def test_only_expected_faults_warn(loaded: LoadProgress, feed: str) -> None:
    warned = {fault for (fault, of), outcome in loaded.outcomes.items() if of == feed and outcome.warnings}
    assert warned <= {"volume_collapse", "volume_surge", "unknown_codes"}
    assert {"volume_surge", "unknown_codes"} <= warned


@pytest.mark.parametrize("feed", FEEDS)
def test_keys_of_the_day_before_are_published_on_both_dates(loaded: LoadProgress, feed: str) -> None:
    outcome = loaded.outcomes["repeated_keys", feed]
    key = ", ".join(feeds.get(feed).key)
    ((repeated,),) = query(
        loaded.settings,
        f"select count(*) from raw.{feed} join raw.{feed} as before using ({key}) "
        f"where {feed}.business_date = %s and before.business_date = %s",
        outcome.business_date,
        outcome.business_date - timedelta(days=1),
    )
    assert repeated == loaded.records["repeated_keys", feed]["rows_touched"] > 0


@pytest.mark.parametrize("feed", FEEDS)
def test_unknown_codes_are_published_unchanged(loaded: LoadProgress, feed: str) -> None:
    column = {"calls": "site_code", "boutique_visits": "boutique_code", "interventions": "unit_code"}[feed]
    day = loaded.outcomes["unknown_codes", feed].business_date
    ((rows,),) = query(
        loaded.settings,
        f"select count(*) from raw.{feed} where business_date = %s and {column} = %s",
        day,
        UNKNOWN_CODE,
    )
    assert rows == loaded.records["unknown_codes", feed]["rows_touched"] > 0


@pytest.mark.parametrize(
    ("fault", "feed"), [each for each in AT_ONCE if each[0] in ("byte_order_mark", "mixed_spellings")]
)
def test_other_spellings_give_the_same_rows(
    loaded: LoadProgress, clean: Settings, fault: str, feed: str
) -> None:
    again = ingest(clean, feed, loaded.outcomes[fault, feed].business_date)
    assert again.message.endswith("0 rows added, 0 removed, 0 altered")


@pytest.mark.parametrize("fault", REFUSED)
def test_a_corrected_delivery_is_published_after_its_refusal(
    loaded: LoadProgress, clean: Settings, fault: str
) -> None:
    day = loaded.outcomes[fault, "calls"].business_date
    good = ingest(clean, "calls", day)
    assert (good.status, good.rows_quarantined) == ("published", 0)
    assert ingest(loaded.settings, "calls", day).status == "refused"
    assert raw_rows(clean, "calls", day) == good.rows_published > 0


def test_multi_stage_faults_over_several_nights(module_warehouse: Settings, tmp_path: Path) -> None:
    """Each evening only simulates its own day, with the faults that start or have further stages."""
    settings = replace(module_warehouse, landing=str(tmp_path))
    begins = {name: LAST + timedelta(days=3 + place) for place, name in enumerate(STORIES)}
    ends = {name: day + timedelta(days=FAULTS[name].stages[-1].days_after) for name, day in begins.items()}
    evening = min(begins.values())
    while evening <= max(ends.values()):
        reported_tonight = [name for name in STORIES if begins[name] <= evening <= ends[name]]
        aims = [f"{name}@{feed}:{begins[name]}" for name in reported_tonight for feed in FEEDS]
        make(settings, evening, evening, aims)
        newest = {(each["fault"], each["feed"]): each for each in records(settings)}
        for name in reported_tonight:
            for feed in FEEDS:
                reported, outcome = newest[name, feed], ingest(settings, feed, begins[name])
                if reported["evening"] == str(evening):
                    check_outcome(settings, outcome, reported)
                else:
                    assert outcome.status == ("missing" if reported["outcome"] == "missing" else "unchanged")
        evening += timedelta(days=1)

    for feed in FEEDS:
        entries = {
            name: query(
                settings,
                "select status, changes from ops.delivery where feed = %s and business_date = %s "
                "order by delivery_id",
                feed,
                day,
            )
            for name, day in begins.items()
        }
        assert entries["late"] == entries["same_again"] == [("published", None)]
        (first, _), (second, changes) = entries["restated"]
        assert (first, second) == ("superseded", "published")
        assert changes["rows_added"] > 0 == changes["rows_removed"] < changes["rows_altered"]


def test_feed_health_shows_every_fault(loaded: LoadProgress) -> None:
    """After all of the above: the mart against the ledger, and repeated keys counted once."""
    settings = loaded.settings
    build(settings)
    entries = query(
        settings,
        "select feed, business_date, count(*), count(*) filter (where status = 'refused'), "
        "count(*) filter (where status = 'superseded'), "
        "coalesce(sum(rows_published) filter (where status = 'published'), 0) "
        "from ops.delivery where feed = any (%s) group by 1, 2",
        list(FEEDS),
    )
    health = query(
        settings,
        "select feed, business_date, delivery_count, refused_count, restatement_count, "
        "case when status = 'published' then rows_published else 0 end "
        "from marts.mart_feed_health where feed = any (%s) and delivery_count > 0",
        list(FEEDS),
    )
    assert sorted(health) == sorted(entries)

    reported = {
        (feed, day): (status, is_due)
        for feed, day, status, is_due in query(
            settings, "select feed, business_date, status, is_due from marts.mart_feed_health"
        )
    }
    for (fault, feed), outcome in loaded.outcomes.items():
        sent_again = fault in REFUSED and feed == "calls"
        expected = "published" if sent_again else outcome.status
        assert reported[feed, outcome.business_date] == (expected, True), (fault, feed)

    repeated = {feed: loaded.records["repeated_keys", feed]["rows_touched"] for feed in FEEDS}
    assert query(
        settings,
        "select (select sum(leg_count) from intermediate.int_call_cross_date_duplicates), "
        "(select count(*) from intermediate.int_boutique_visit_cross_date_duplicates), "
        "(select sum(duplicate_state_count) from marts.fct_interventions)",
    ) == [tuple(repeated.values())]
