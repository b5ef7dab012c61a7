"""Reference data as of the date: late snapshots and changed seeds only affect the dates they govern."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from parc.build import build, changes
from parc.errors import BuildFailed
from parc.feeds import FEEDS
from parc.loading import ingest, withdraw
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from parc.warehouse import connect
from support.marts import marts, restate, rows
from support.references import change_seed, recomputed

FIRST, LAST = date(2012, 4, 23), date(2012, 4, 26)
DAYS = [FIRST + timedelta(days=day) for day in range(4)]
WINDOWS = [
    line.partition(",")[0]
    for line in (PROJECT / "dbt_project/seeds/figure_windows.csv").read_text().splitlines()[1:]
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project whose seeds a test may change."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT / "dbt_project", folder / "dbt_project")
    shutil.copytree(PROJECT / "expectations", folder / "expectations")
    return folder


@pytest.fixture(scope="module")
def built(module_warehouse: Settings, project: Path) -> Iterator[Settings]:
    """A platform with its own seeds, and four small days of all feeds loaded and built."""
    settings = replace(module_warehouse, project=project, home=module_warehouse.home)
    simulate(FIRST, LAST, scale=0.002, seed=5, out=settings.landing)
    for feed in FEEDS:
        for day in DAYS:
            outcome = ingest(settings, feed, day)
            assert outcome.status in ("published", "missing"), outcome.message
    build(settings)
    yield settings


def test_a_department_moves_to_another_directorate_from_a_date(built: Settings) -> None:
    moved = "35,OUEST,1990-01-01,,high"
    change_seed(
        built,
        "department_directorate",
        moved,
        "35,OUEST,1990-01-01,2012-04-25,high\n35,SUD_OUEST,2012-04-25,,inferred",
    )
    # A department's zone belongs to its directorate, so the zone changes too.
    change_seed(built, "zones", "53,53,OUEST,", "53-SO,53,SUD_OUEST,Europe/Paris,FR\n53,53,OUEST,")
    change_seed(
        built, "routing_zones", "35,53,1990-01-01,", "35,53,1990-01-01,2012-04-25\n35,53-SO,2012-04-25,"
    )
    change_seed(
        built,
        "zone_hours",
        "\n53,1,",
        "".join(f"\n53-SO,{weekday},08:00,20:00" for weekday in range(1, 6)) + "\n53,1,",
    )
    build(built)
    query = (
        "select distinct home_directorate_code, business_date >= '2012-04-25' from marts.fct_calls "
        "where home_department_code = '35' order by 2"
    )
    assert rows(built, query) == [("OUEST", False), ("SUD_OUEST", True)]
    misplaced = (
        "select count(*) from marts.fct_interventions where department_code = '35' "
        "and directorate_code <> case when requested_date < '2012-04-25' then 'OUEST' else 'SUD_OUEST' end"
    )
    assert rows(built, misplaced) == [(0,)]


def test_a_dated_seed_reaches_the_dates_it_governs_and_no_others(built: Settings) -> None:
    change_seed(
        built,
        "department_directorate",
        "29,OUEST,1990-01-01,,high",
        "29,OUEST,1990-01-01,2012-04-26,high\n29,OUEST,2012-04-26,,inferred",
    )
    build(built)
    assert recomputed(built, "calls") == [LAST]
    assert recomputed(built, "boutique_visits") == [LAST]


@pytest.mark.soak
def test_a_seed_reverted_after_a_failed_build_is_reverted_in_the_tables(built: Settings) -> None:
    before = marts(built)
    line, wrong = "\n44,OUEST,1990-01-01,", "\n44,NORD,1990-01-01,"
    change_seed(built, "department_directorate", line, wrong)
    with pytest.raises(BuildFailed, match="reference_is_coherent"):
        build(built)
    assert marts(built) == before
    change_seed(built, "department_directorate", wrong, line)
    restate(built, LAST, drop=1)
    assert ingest(built, "calls", LAST).status == "published"
    build(built)
    assert rows(
        built, "select distinct home_directorate_code from marts.fct_calls where home_department_code = '44'"
    ) == [("OUEST",)]


def test_each_change_reaches_its_own_dates(built: Settings) -> None:
    """A holiday (and the clocks around it), a plan that no fact reads, boutiques of the 25th arrive late."""
    change_seed(built, "public_holidays", "FR,1999-01-01,", "FR,2012-04-23,Bridge Day\nFR,1999-01-01,")
    change_seed(built, "rollout_plan", "53,fixe,2,2012-04-25,", "53,fixe,2,2012-04-24,")
    late = Path(built.landing) / "boutiques" / f"date={DAYS[2]}"
    shutil.copytree(late.with_name(f"date={FIRST}"), late)
    (late / "_CONTROL.json").unlink()
    [source] = late.iterdir()
    text = source.read_text()
    line = next(row for row in text.splitlines() if ",35," in row)
    source.write_text(text.replace(line, line.replace(",35,", ",44,")))
    assert ingest(built, "boutiques", DAYS[2]).status == "published"
    build(built)
    assert recomputed(built, "calls") == DAYS[:2]
    assert recomputed(built, "boutique_visits") == DAYS[2:]
    assert rows(
        built,
        "select bool_or(is_in_hours) from marts.fct_calls "
        "where business_date = '2012-04-23' and zone_code = '53'",
    ) == [(False,)]
    assert rows(
        built,
        "select distinct planned_go_live_date from marts.mart_parc_rollout_daily "
        "where region_code = '53' and market = 'fixe'",
    ) == [(date(2012, 4, 24),)]


def send_lines(settings: Settings, day: date, moved: int = 0) -> int:
    """Deliver the first day's snapshot of lines again on a later one, with some of department 56 in April
    given to 22, which is of the same directorate; returns the delivery's id."""
    snapshot = Path(settings.landing) / "active_lines" / f"date={day}"
    shutil.copytree(snapshot.with_name(f"date={FIRST}"), snapshot, dirs_exist_ok=True)
    if moved:
        (snapshot / "_CONTROL.json").unlink()
        [source] = snapshot.iterdir()
        lines = [line.split(",") for line in source.read_text().splitlines()]
        for department, more in (("56", -moved), ("22", moved)):
            april = next(row for row in lines if row[:3] == ["2012-04-01", department, "fixe"])
            april[3] = str(int(april[3]) + more)
        source.write_text("".join(",".join(row) + "\n" for row in lines))
    outcome = ingest(settings, "active_lines", day)
    assert outcome.status == "published" and outcome.delivery_id
    return outcome.delivery_id


def stocks(settings: Settings) -> list[int]:
    """Active lines of department 22 on each day."""
    mart = "select business_date, sum(active_line_stock) from marts.mart_service_quality_department_daily"
    return [
        stock for _, stock in rows(settings, f"{mart} where department_code = '22' group by 1 order by 1")
    ]


def test_lines_reach_the_dates_of_months_that_changed(built: Settings) -> None:
    """Each snapshot repeats the months before it; a second one that says the same moves no date."""
    send_lines(built, DAYS[2])
    build(built)
    assert recomputed(built, "active_lines") == []
    before = stocks(built)
    delivery_id = send_lines(built, DAYS[3], moved=7)
    build(built)
    assert recomputed(built, "active_lines") == DAYS
    assert stocks(built) == [stock + 7 for stock in before]
    withdraw(built, delivery_id, "of another platform")
    build(built)
    assert recomputed(built, "active_lines") == DAYS
    assert stocks(built) == before


def test_lines_that_come_while_a_build_runs_reach_their_dates(
    built: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That build reads them, and computes only the dates of its own deliveries."""
    before, find = stocks(built), changes.find

    def found_too_early(*arguments: Any, **named: Any) -> changes.Unbuilt:
        found = find(*arguments, **named)
        send_lines(built, DAYS[3], moved=5)
        return found

    restate(built, LAST, drop=1)
    assert ingest(built, "calls", LAST).status == "published"
    with monkeypatch.context() as patch:
        patch.setattr(changes, "find", found_too_early)
        build(built)
    build(built)
    assert stocks(built) == [stock + 5 for stock in before]


def test_a_name_and_a_window_that_change_reach_every_date(built: Settings) -> None:
    """Both are stored beside the figures: the name of each code, and what is final on each date."""
    new_names = {
        "directorate": ("directorates", "OUEST", "Ouest", "Grand Ouest"),
        "region": ("regions", "53", "Bretagne", "Armorique"),
        "department": ("departments", "35", "Ille-et-Vilaine", "Rennes et alentours"),
        "site": ("sites", "RENNES", "Rennes", "Rennes Nord"),
        "partner_site": ("sites", "CASABLANCA", "Casablanca", "Casablanca Sud"),
    }
    for seed, code, before, after in new_names.values():
        change_seed(built, seed, f"\n{code},{before}", f"\n{code},{after}")
    change_seed(built, "contact_reasons", "BILLING,Facturation,Billing", "BILLING,Factures,Bills")
    for window in ("repeat_7d,calls,calls", "repeat_visit_7d,boutique_visits,boutique_visits"):
        change_seed(built, "figure_windows", f"{window},168,", f"{window},24,")
    for one, other in (("call", "visit"), ("visit", "call")):
        feeds = {"call": "calls", "visit": "boutique_visits"}
        window = f"{other}_after_{one}_7d,{feeds[one]},{feeds[other]}"
        change_seed(built, "figure_windows", f"{window},168,", f"{window},24,")
    build(built)
    assert recomputed(built, "calls") == recomputed(built, "boutique_visits") == DAYS

    wanted = {
        f"{kind}_name": (f"{kind}_code", code, after) for kind, (_, code, _, after) in new_names.items()
    }
    wanted |= {
        "reason_label_fr": ("reason_code", "BILLING", "Factures"),
        "reason_label_en": ("reason_code", "BILLING", "Bills"),
    }
    shown: dict[str, set[str]] = {column: set() for column in wanted}
    stored: dict[str, set[str]] = {}
    for mart, columns in columns_of_marts(built).items():
        for column, (code_column, code, name) in wanted.items():
            if not {column, code_column} <= columns:
                continue
            found = rows(built, f"select distinct {column} from marts.{mart} where {code_column} = '{code}'")
            assert found in ([], [(name,)]), (mart, column)
            shown[column] |= {mart} if found else set()
        for window in WINDOWS:
            if not {"business_date", f"is_{window}_final"} <= columns:
                continue
            wrong = (
                f"select business_date, is_{window}_final from marts.{mart} "
                "left join (select * from marts.mart_finality_daily "
                f"where figure_window = '{window}') as known using (business_date) "
                f"where is_{window}_final is distinct from (status is not distinct from 'final')"
            )
            assert rows(built, wrong) == [], (mart, window)
            [(days,)] = rows(built, f"select array_agg(distinct business_date) from marts.{mart}")
            assert set(DAYS) <= set(days), mart
            stored.setdefault(window, set()).add(mart)
    assert all(shown.values()), shown
    assert min(len(shown["directorate_name"]), len(shown["region_name"])) > 10
    assert stored.keys() == {*WINDOWS} - {"calls", "boutique_visits", "interventions"}
    finals = (
        "select distinct business_date from marts.mart_repeat_calls_daily where is_repeat_7d_final order by 1"
    )
    assert rows(built, finals) == [(day,) for day in DAYS[:3]]


def columns_of_marts(settings: Settings) -> dict[str, set[str]]:
    """The columns of the tables that BI reads."""
    found = rows(
        settings,
        "select relname::text, array_agg(attname::text) from pg_class "
        "inner join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped "
        "where relnamespace = 'marts'::regnamespace and relkind = 'r' group by 1 order by 1",
    )
    return {mart: set(columns) for mart, columns in found}


def test_the_marts_finally_equal_a_full_refresh(built: Settings) -> None:
    incremental = marts(built)
    build(built, full_refresh=True)
    refreshed = marts(built)
    assert [name for name in refreshed if incremental[name] != refreshed[name]] == []


def test_what_cannot_have_changed_is_left_out(built: Settings, project: Path) -> None:
    def selection() -> list[str]:
        with connect(built, "transformer") as connection:
            return changes.find(connection, project / "dbt_project").selection

    no_seeds = ["--exclude-resource-type", "seed"]
    tables = ["source:*+,config.materialized:table", "source:*+,config.materialized:incremental"]
    everything_same = [*no_seeds, "--select", *tables]
    assert selection() == everything_same
    for path, remaining in {"models/marts/dimensions/dim_site.sql": no_seeds, "seeds/sites.csv": []}.items():
        file = project / "dbt_project" / path
        before = file.read_text()
        file.write_text(before + "\n")
        assert selection() == remaining, path
        file.write_text(before)
    assert selection() == everything_same


def test_a_withdrawn_delivery_leaves_the_marts_as_if_it_never_arrived(
    built: Settings, tmp_path: Path
) -> None:
    """Facts of one more day, snapshots of each keeping, and a restatement; then its original again."""
    before, extra = marts(built), LAST + timedelta(days=1)
    simulate(FIRST, extra, scale=0.002, seed=6, out=str(tmp_path))
    withdrawals = [(feed, extra) for feed in ("calls", "boutique_visits", "interventions")]
    references = ("numbering_plan", "active_lines", "boutiques", "line_assignments")
    withdrawals += [(feed, DAYS[1]) for feed in references]
    for feed, day in withdrawals:
        source = min((tmp_path / feed).iterdir()) if day != extra else tmp_path / feed / f"date={day}"
        shutil.copytree(source, Path(built.landing) / feed / f"date={day}", dirs_exist_ok=True)
    restated = Path(built.landing) / "calls" / f"date={FIRST}"
    shutil.copytree(restated, tmp_path / "kept")
    restate(built, FIRST, drop=5)
    made = [ingest(built, feed, day) for feed, day in [*withdrawals, ("calls", FIRST)]]
    assert {outcome.status for outcome in made} == {"published"}, made
    ran = {name.partition(".")[0] for name in build(built).seconds_by_node}
    assert {"fct_calls", "int_boutiques", "mart_parc_effect"} <= ran
    assert not {"sites", "dim_site", "int_homes", "stg_calls__legs"} & ran
    tests = {path.stem for path in (built.project / "dbt_project" / "tests").iterdir()}
    assert tests - ran == {"reference_is_coherent"}  # the only one of seeds alone
    assert marts(built)["fct_calls"] != before["fct_calls"]

    for outcome in made:
        assert outcome.delivery_id
        withdraw(built, outcome.delivery_id, "of another platform")
    shutil.copytree(tmp_path / "kept", restated, dirs_exist_ok=True)
    assert ingest(built, "calls", FIRST).status == "published"
    result = build(built)
    assert result.withdrawn_count == len(made)
    with connect(built, "reader") as connection:
        written = dict(
            connection.execute(
                "select node, row_count from ops.build_node where build_id = %s and kind = 'model'",
                [result.build_id],
            ).fetchall()
        )
    assert written["fct_calls"] > 0 and written["mart_parc_effect"] is not None
    assert written["int_intervention_states"] is None, "it lost a day's rows, and got none"
    after = marts(built)
    health = before.pop("mart_feed_health"), after.pop("mart_feed_health")
    assert [name for name in before if before[name] != after[name]] == []
    assert len(health[0]) == len(health[1])
    assert build(built).build_id is None
