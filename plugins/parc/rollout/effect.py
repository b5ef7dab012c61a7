"""Group-time effects of a staggered rollout (Callaway and Sant'Anna 2021), by the library `diff-diff`.

A unit (a region) of cohort g goes live in period g. ATT(g, t) is the change in outcome of cohort g from its
last period before g to t, minus the same change of the controls. There are no covariates, and every unit
weighs 1.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from parc.errors import PanelRefused
from parc.wording import counted

ControlGroup = Literal["not_yet_treated", "never_treated"]


@dataclass(frozen=True)
class GroupTimeATT:
    """Effects by cohort and period, and their averages, all in the unit of the outcome.

    `att_gt` has a row per cohort and period: `group` (the cohort), `period`, `att`, `se` (analytic: far too
    small with few units, so never a basis for a verdict), `n_treated` and `n_control` (units). `att` is NaN
    if it is not identified: no control is left, or there is no period before. Periods before `group` are
    compared with the period just before them, and should show no effect. `aggregates`, all weighted by units:
    `simple`, a float, over all cells from going live on; `group`, by cohort; `dynamic`, by periods since
    going live (negative: before); `calendar`, by period. What is not identified is absent from the last
    three, and `simple` is NaN if nothing is identified. `left_out` are the units already live in the first
    period: there is no period before.
    """

    att_gt: pd.DataFrame
    aggregates: dict[str, Any]
    left_out: list[Any]


def group_time_att(
    panel: pd.DataFrame,
    unit: str,
    period: str,
    cohort: str,
    outcome: str,
    control_group: ControlGroup = "not_yet_treated",
) -> GroupTimeATT:
    """Estimate ATT(g, t) from a panel with a row per unit and period.

    `unit`, `period`, `cohort` and `outcome` name columns. Periods and cohorts are whole numbers on one scale;
    cohort 0 is never treated, and a cohort after the last period is not treated within the panel. Periods may
    be missing in between, for all units or for some. Controls of period t are the units not yet treated by t,
    or with `never_treated` those never treated within the panel.

    Formulas: B. Callaway, P. Sant'Anna, Difference-in-differences with multiple time periods, Journal of
    Econometrics 225 (2021), (2.9) without covariates, and section 3 for the averages.

    Raises PanelRefused, naming the problem, if the panel is incomplete, has duplicates or contradicts itself,
    if no unit is treated after the first period, or if there are no controls.
    """
    data, left_out = checked(panel, unit, period, cohort, outcome, control_group)
    from diff_diff import CallawaySantAnna  # takes two seconds to import; only builds of a new week need it

    with warnings.catch_warnings():
        # Cells that are not identified are reported as NaN, and the docstring says which units a cell
        # compares.
        warnings.filterwarnings("ignore", message=".*could not be estimated")
        warnings.filterwarnings("ignore", message="Unbalanced panel detected")
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        fitted = CallawaySantAnna(control_group=control_group, estimation_method="reg").fit(
            data, outcome="outcome", unit="unit", time="period", first_treat="cohort"
        )
        cells = pd.DataFrame(
            [
                {
                    "group": int(group),
                    "period": int(at),
                    "att": float(cell["effect"]),
                    "se": float(cell["se"]),
                    "n_treated": int(cell["n_treated"]),
                    "n_control": int(cell["n_control"]),
                }
                for (group, at), cell in fitted.group_time_effects.items()
            ]
        ).sort_values(["group", "period"], ignore_index=True)
        after = cells[(cells["period"] >= cells["group"]) & cells["att"].notna()]
        aggregates: dict[str, Any] = {"simple": float("nan"), "group": {}, "dynamic": {}, "calendar": {}}
        if len(after):
            aggregates["simple"] = float(fitted.overall_att)
            groups = fitted.aggregate("group").to_dataframe()
            aggregates["group"] = _by(groups["label"], groups["att"])
            events = fitted.aggregate("event_study").to_dataframe()
            aggregates["dynamic"] = _by(events["event_time"], events["att"])
            # The library does not average by calendar period.
            size = data.groupby("cohort")["unit"].nunique()
            weights = after["group"].map(size)
            sums = (after["att"] * weights).groupby(after["period"]).sum()
            calendar = sums / weights.groupby(after["period"]).sum()
            aggregates["calendar"] = _by(calendar.index, calendar)
    return GroupTimeATT(cells, aggregates, left_out)


def checked(
    panel: pd.DataFrame, unit: str, period: str, cohort: str, outcome: str, control_group: str
) -> tuple[pd.DataFrame, list[Any]]:
    """The panel as columns unit, period, cohort (0: not within the panel) and outcome; and the units left
    out.

    Raises PanelRefused like `group_time_att`.
    """
    if control_group not in get_args(ControlGroup):
        choices = " or ".join(get_args(ControlGroup))
        raise PanelRefused(f"unknown control_group {control_group!r}; give {choices}")
    columns = {"unit": unit, "period": period, "cohort": cohort, "outcome": outcome}
    absent = [name for name in columns.values() if name not in panel.columns]
    if absent:
        raise PanelRefused(
            f"the panel has no column {', '.join(map(repr, absent))}; "
            f"it has {', '.join(map(str, panel.columns))}"
        )
    if panel.empty:
        raise PanelRefused("the panel has no rows; give one row per unit and period")
    data = pd.DataFrame({name: panel[column].to_numpy() for name, column in columns.items()})
    if data["unit"].isna().any():
        count = counted(data["unit"].isna().sum(), "row")
        raise PanelRefused(f"column {unit!r} is empty in {count}; name every unit")
    for name in ("period", "cohort", "outcome"):
        data[name] = _numbers(data, name, columns[name])
    twice = data[data.duplicated(["unit", "period"])]
    if len(twice):
        first = twice.iloc[0]
        raise PanelRefused(
            f"{counted(len(twice), 'row repeats', 'rows repeat')} a unit and period (first: {unit} "
            f"{first['unit']}, {period} {first['period']}); keep one row of each"
        )
    cohorts = data.groupby("unit")["cohort"].nunique()
    if (cohorts > 1).any():
        name = cohorts.index[cohorts > 1][0]
        found = ", ".join(map(str, sorted(data.loc[data["unit"] == name, "cohort"].unique())))
        raise PanelRefused(
            f"{counted((cohorts > 1).sum(), 'unit has', 'units have')} more than one {cohort!r} (first: "
            f"{unit} {name}: {found}); a unit goes live once and stays live"
        )
    first_period, last_period = data["period"].min(), data["period"].max()
    data.loc[data["cohort"] > last_period, "cohort"] = 0
    is_left_out = (data["cohort"] != 0) & (data["cohort"] <= first_period)
    left_out = sorted(data.loc[is_left_out, "unit"].unique().tolist(), key=str)
    data = data[~is_left_out]
    treated = sorted(int(each) for each in data["cohort"].unique() if each)
    if not treated:
        raise PanelRefused(
            f"no unit goes live after the first {period} {first_period} and up to the last, {last_period}; "
            f"without a change there is no effect to estimate ({len(left_out)} were live from the start)"
        )
    has_never = bool((data["cohort"] == 0).any())
    if not has_never and (control_group == "never_treated" or len(treated) == 1):
        raise PanelRefused(
            f"there are no controls: every unit goes live by the last {period} {last_period}, "
            + ("and all at once" if len(treated) == 1 else "so none is never treated; try not_yet_treated")
        )
    return data.reset_index(drop=True), left_out


def _numbers(data: pd.DataFrame, name: str, column: str) -> pd.Series[Any]:
    numbers = pd.to_numeric(data[name], errors="coerce").astype(float)
    is_bad = ~np.isfinite(numbers)
    if name != "outcome":
        is_bad |= numbers % 1 != 0
    if is_bad.any():
        kind = "a number" if name == "outcome" else "a whole number"
        row = data.loc[is_bad].iloc[0]
        raise PanelRefused(
            f"column {column!r} is not {kind} in {counted(is_bad.sum(), 'row')} (first: unit {row['unit']}, "
            f"{row[name]!r}); leave out rows without a value" + (", 0 is never treated" * (name == "cohort"))
        )
    return numbers if name == "outcome" else numbers.astype(int)


def _by(keys: Any, values: Any) -> dict[int, float]:
    pairs = zip(keys, values, strict=True)
    return {int(key): float(value) for key, value in pairs if np.isfinite(value)}
