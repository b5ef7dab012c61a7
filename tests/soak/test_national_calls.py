"""Half a year of simulated national calls: each wave of 2012 by the four weeks before it, call by call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from parc.routing.table.inputs import DEMAND, VOLUME_DAYS
from parc.simulate.boutiques import Boutiques
from parc.simulate.calls import CallCentre
from parc.simulate.contacts import ContactBook, Contacts
from parc.simulate.demand import Demand
from parc.simulate.effects import EFFECTS
from parc.simulate.footfall import Footfall
from parc.simulate.geography import Geography
from parc.simulate.jobs import JobBook
from parc.simulate.numbering import Numbering
from parc.simulate.population import Population
from parc.simulate.visits import VisitBook
from support.national_world import assert_well_below_limits, days, proposal, seed, table, volumes

pytestmark = pytest.mark.soak
SEED = 7
ONE_DAY = timedelta(days=1)
WAVES = sorted({day for day in seed("rollout_plan")["planned_go_live_date"] if day.startswith("2012")})


@pytest.fixture(scope="module")
def calls() -> Callable[[date], pl.DataFrame]:
    """The calls of a day as the mart of demand has them; days are best asked for in their order."""
    geography = Geography.load()
    population = Population(geography, Numbering.of(geography), scale=1, seed=SEED)
    demand, footfall = Demand(geography, seed=SEED), Footfall(geography)
    boutiques = Boutiques(geography, population, scale=1, seed=SEED)
    contacts = ContactBook(geography, population, demand, footfall, EFFECTS, seed=SEED)
    shops = VisitBook(geography, population, boutiques, demand, footfall, EFFECTS, seed=SEED)
    field = JobBook(geography, population, demand, EFFECTS, seed=SEED)
    centre = CallCentre(geography, population, demand, EFFECTS, scale=1, seed=SEED)
    zone_codes = np.array(geography.zone_codes)
    made: dict[date, pl.DataFrame] = {}

    def of(day: date) -> pl.DataFrame:
        if day not in made:
            parts = Contacts.concat([contacts.on(day)[0], shops.calls(day), field.on(day).calls])
            callers = parts.take(parts.is_made).in_order()
            legs, _ = centre.legs(day, callers)
            roots = _roots(legs)
            customer = callers.customer[roots["root"].to_numpy()]
            who = population.describe(customer)
            is_revealed = (who.number_department >= 0) | population.is_listed(customer, who.kind, day)
            own = pl.Series(np.where(is_revealed, who.number, 0)).cast(pl.String)
            home = pl.Series(zone_codes[geography.department_zones(day)[who.department]])
            is_known = roots["is_filed"] | (roots["caller_number"].str.strip_prefix("+") == own).fill_null(
                False
            )
            made[day] = _by_half_hour(roots, home.set(~is_known, "*"), day)
        return made[day]

    return of


def _roots(legs: pl.DataFrame) -> pl.DataFrame:
    """(root, market, caller_number, is_filed, half_hour_at, handle_seconds) of calls that came to a queue."""
    seconds = pl.sum_horizontal(pl.col("hold_s", "talk_s", "wrap_up_s").cast(pl.Int64))
    return (
        legs.group_by("call_id", maintain_order=True)
        .agg(
            pl.col("market", "caller_number").first(),
            pl.col("queued_at").drop_nulls().min(),
            is_filed=pl.col("line_department").is_not_null().any(),
            handle_seconds=seconds.sum(),
        )
        .drop_nulls("queued_at")
        .with_columns(
            root=pl.col("call_id").str.slice(9).cast(pl.Int64) - 1,
            half_hour_at=pl.col("queued_at")
            .str.to_datetime("%Y-%m-%dT%H:%M:%S%:z", time_zone="UTC", time_unit="us")
            .dt.truncate("30m"),
        )
    )


def _by_half_hour(roots: pl.DataFrame, zone: pl.Series, day: date) -> pl.DataFrame:
    return (
        roots.with_columns(zone_code=zone, business_date=pl.lit(day))
        .group_by("half_hour_at", "business_date", "zone_code", "market")
        .agg(offered_count=pl.len(), handle_seconds=pl.col("handle_seconds").sum())
        .select(list(DEMAND[1]))
        .cast(dict(DEMAND[1]))
    )


@pytest.mark.parametrize("wave", WAVES)
def test_no_wave_overloads_a_site(wave: str, calls: Callable[[date], pl.DataFrame]) -> None:
    day = date.fromisoformat(wave)
    before = pl.concat([calls(each) for each in days(day - VOLUME_DAYS * ONE_DAY, day - ONE_DAY)])
    for live in (table(day - ONE_DAY), None):
        assert_well_below_limits(proposal(day, live, demand=before))


HOUR = pl.col("half_hour_at").dt.convert_time_zone("Europe/Paris").dt.hour().alias("hour")


@pytest.mark.parametrize("by", ["zone_code", "market", "business_date", HOUR], ids=str)
def test_expected_calls_are_those_of_the_simulation(
    by: str | pl.Expr, calls: Callable[[date], pl.DataFrame]
) -> None:
    """What positions are sized by, over four weeks whose surprises all but cancel out."""
    first, last = date(2012, 5, 15), date(2012, 6, 11)
    drawn, expected = (
        frame.group_by(by).agg(pl.col("offered_count", "handle_seconds").sum())
        for frame in (pl.concat([calls(day) for day in days(first, last)]), volumes(first, last))
    )
    both = drawn.join(expected, on=drawn.columns[0], how="full", suffix="_expected")
    for column in ("offered_count", "handle_seconds"):
        ratio = both[column] / both[f"{column}_expected"]
        assert ratio.is_between(0.85, 1.15).all(), both.filter(~ratio.is_between(0.85, 1.15))
        assert both[column].sum() / both[f"{column}_expected"].sum() == pytest.approx(1, abs=0.03)
