"""From the weekly panel to the mart: what is estimated again, and what is shown if nothing is identified."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from parc.build import dbt
from parc.errors import BuildFailed
from parc.rollout import effect, estimates
from parc.rollout.effect import GroupTimeATT
from parc.settings import PROJECT, Settings
from parc.warehouse import connect
from support.effect_world import Plan

FIRST, WEEKS = date(2012, 4, 2), 16
LATER = date(2012, 9, 11)
PANEL = "intermediate.agg_rollout_panel_weekly"
MONDAY = date(1970, 1, 5)


@pytest.fixture
def panel(warehouse: Settings) -> Settings:
    """Two outcomes of `fixe` up to July: 5 fewer calls from going live on; Normandie was always live."""
    plan = Plan.of(FIRST, WEEKS)
    noise = plan.noise(np.random.default_rng(2012))
    live = np.array([[0 < cohort <= at for at in plan.periods] for cohort in plan.cohorts])
    rows: list[tuple[Any, ...]] = []
    for outcome, values in {"call_rate": 70 - 5 * live + noise / 4, "satisfaction": 0.7 + noise / 50}.items():
        for number, region in enumerate(plan.regions):
            cohort = plan.cohorts[number]
            go_live = MONDAY + timedelta(weeks=cohort, days=2) if cohort else None
            home = plan.directorates[number]
            for at, value in zip(plan.periods, values[number], strict=True):
                week = MONDAY + timedelta(weeks=at)
                rows.append(("fixe", outcome, region, home, go_live or LATER, go_live, week, value))
        for at in plan.periods:
            rows.append(
                (
                    "fixe",
                    outcome,
                    "25",
                    "NORMANDIE_CENTRE",
                    date(2012, 3, 1),
                    date(2012, 3, 1),
                    MONDAY + timedelta(weeks=at),
                    1.0,
                )
            )
    with connect(warehouse, "transformer") as connection:
        connection.execute(
            f"create table {PANEL} (market text, outcome text, region_code text, directorate_code text, "
            "planned_go_live_date date, go_live_date date, week_date date, value double precision)"
        )
        connection.cursor().executemany(f"insert into {PANEL} values (%s, %s, %s, %s, %s, %s, %s, %s)", rows)
    return warehouse


def refresh(settings: Settings, **options: bool) -> list[tuple[str, str]]:
    with connect(settings, "transformer", autocommit=True) as connection:
        return estimates.refresh(connection, estimates.aim_of(PROJECT), **options)


def change(settings: Settings, statement: str) -> None:
    with connect(settings, "transformer") as connection:
        connection.execute(statement.encode())


def effects(settings: Settings, query: str = "true") -> list[tuple[Any, ...]]:
    with connect(settings, "transformer") as connection:
        return connection.execute(
            f"select * from ops.rollout_effect where {query} order by 1, 2, 3, 4, 5, 6".encode()
        ).fetchall()


def mart(settings: Settings, columns: str, query: str) -> list[tuple[Any, ...]]:
    def quiet(*_: object) -> None:
        pass

    with dbt.started(settings, quiet) as running:
        run = running.run(
            "build",
            "--select",
            "stg_rollout__effects",
            "mart_parc_effect",
            "--exclude",
            "keys_of_effects_are_unique",
            "--exclude-resource-type",
            "unit_test",
        )
    assert not run.has_failed, [result.message for result in run.results]
    with connect(settings, "transformer") as connection:
        return connection.execute(
            f"select {columns} from build.mart_parc_effect where {query} order by 1, 2".encode()
        ).fetchall()


def test_only_changed_outcomes_are_reestimated(panel: Settings) -> None:
    assert refresh(panel) == [("fixe", "call_rate"), ("fixe", "satisfaction")]
    assert refresh(panel) == []
    before = effects(panel, "outcome = 'call_rate'")
    change(
        panel, f"update {PANEL} set value = value + 0.1 where outcome = 'satisfaction' and region_code = '53'"
    )
    assert refresh(panel) == [("fixe", "satisfaction")]
    assert effects(panel, "outcome = 'call_rate'") == before
    # Once more from nothing: the same, row for row.
    everything = effects(panel)
    assert refresh(panel, everything=True) == [("fixe", "call_rate"), ("fixe", "satisfaction")]
    assert effects(panel) == everything
    # A market without a final week has no row: nothing is claimed.
    change(panel, f"delete from {PANEL} where outcome = 'satisfaction'")
    assert refresh(panel) == [("fixe", "satisfaction")]
    assert effects(panel, "outcome = 'satisfaction'") == []


def test_the_mart_reports_effect_p_value_and_unidentified_cells(panel: Settings) -> None:
    refresh(panel)
    columns = (
        "effect_kind, effect_key, status, estimate, p_value, smallest_p_value, treated_region_count, "
        "region_count"
    )
    found = {row[:2]: row[2:] for row in mart(panel, columns, "outcome = 'call_rate'")}
    status, estimate, p_value, smallest, treated, regions = found["simple", "all"]
    # Two of eleven directorates in two waves: 110 orders, of which none shows as much.
    assert (status, treated, regions) == ("estimated", 5, 25)
    assert -6 < estimate < -4 and float(p_value) == float(smallest) == pytest.approx(1 / 110, abs=1e-8)
    # Only Ouest is live before 12 June: one of eleven, whatever it shows.
    assert found["calendar", "2012-04-30"][0] == "too few"
    assert float(found["calendar", "2012-04-30"][3]) == pytest.approx(1 / 11, abs=1e-8)
    assert abs(found["dynamic", "-002"][1]) < 2
    columns = "effect_kind, effect_key, minimum_detectable_effect, planning_effect, further_week_count, "
    columns += "detectable_date, power_reason"
    power = {row[:2]: row[2:] for row in mart(panel, columns, "outcome = 'call_rate'")}
    smallest_effect, planned, weeks, day, reason = power.pop(("simple", "all"))
    assert {each for row in power.values() for each in row} == {None}
    # 3 % of some 70 contacts.
    assert 0 < smallest_effect < 5 and float(planned) == pytest.approx(2.1, abs=0.1)
    assert (weeks == 0) == (smallest_effect <= planned)
    assert (weeks is None) == (reason is not None)
    assert weeks is None or day == date(2012, 7, 16) + timedelta(days=14, weeks=weeks)
    assert found["group", "2012-02-27"][:2] == ("not identified", None)


def test_no_effect_is_claimed_after_the_last_wave(panel: Settings) -> None:
    change(panel, f"update {PANEL} set go_live_date = '2012-06-13' where go_live_date is null")
    refresh(panel)
    last = date(2012, 6, 11)
    for kind, condition in (("calendar", "week_date < '2012-06-11'"), ("group", "group_date = '2012-04-23'")):
        assert all(row[6] for row in effects(panel, f"effect_kind = '{kind}' and {condition}"))
    silent = effects(panel, "effect_kind in ('calendar', 'group_time') and week_date >= '2012-06-11'")
    silent += effects(panel, "effect_kind = 'group' and group_date = '2012-06-11'")
    assert {row[3] for row in silent} >= {last} and len(silent) > 2 * 3 * 7
    reasons = {row[18] for row in silent if row[3] != date(2012, 2, 27)}
    assert reasons == {"no region is left that is not live yet"}
    assert {row[6] for row in silent} == {None}


def test_disagreement_with_the_library_stops_the_build(
    panel: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest: Callable[..., GroupTimeATT] = effect.group_time_att

    def other(*given: Any) -> GroupTimeATT:
        found = honest(*given)
        found.aggregates["simple"] += 1e-6
        return found

    monkeypatch.setattr(effect, "group_time_att", other)
    with pytest.raises(BuildFailed, match="fixe call_rate: diff-diff 3.* and the permutations differ by"):
        refresh(panel)
    assert effects(panel) == []
