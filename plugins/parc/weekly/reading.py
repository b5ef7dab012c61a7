"""What the marts say of a directorate and a week, read with the directorate's own login: the page can show
nothing that the directorate may not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import class_row

from parc.errors import ParcError
from parc.findings import BUILD
from parc.settings import Settings
from parc.warehouse import connect_directorate
from parc.weekly.week import IsoWeek

WEEKS_DRAWN = 13
"""Weeks of a chart, the page's own last: a quarter of a year."""

_Row = TypeVar("_Row")


class DirectorateNotBuilt(ParcError):
    """A directorate of the seed is in no published mart yet."""

    def __init__(self, directorate_code: str) -> None:
        super().__init__(f"no published build has the directorate {directorate_code} yet", steps=(BUILD,))


@dataclass(frozen=True)
class Directorate:
    """A directorate: its code and its name."""

    directorate_code: str
    directorate_name: str


@dataclass(frozen=True)
class OwnRegion:
    """A region in which the directorate has departments. If it `is_shared`, another has some too."""

    region_code: str
    region_name: str
    is_shared: bool


@dataclass(frozen=True)
class RolloutState:
    """How far a region and market is, on the last day of the week that has calls. One that went live before
    the data begins was observed on their first day."""

    business_date: date
    region_code: str
    market: str
    status: str
    planned_go_live_date: date | None
    observed_go_live_date: date | None
    withdrawn_on: date | None
    is_older_than_data: bool = False


@dataclass(frozen=True)
class ChartedWeek:
    """A figure of a region and week, with its limits. A value is None if it is of too few persons."""

    week_start_date: date
    region_code: str
    metric: str
    metric_value: Decimal | None
    lower_limit: Decimal | None
    mean_value: Decimal | None
    upper_limit: Decimal | None
    run_length: int | None
    signal: str | None
    is_complete: bool
    is_event_week: bool


@dataclass(frozen=True)
class DeliveryState:
    """What happened to a delivery of the week. It `was_late` as on the calendar of deliveries: after its due
    time, or after a later date of its feed."""

    feed: str
    business_date: date
    status: str
    is_due: bool
    restatement_count: int
    refused_count: int = 0
    was_late: bool = False


@dataclass(frozen=True)
class FiguresBuild:
    """The build that the figures come from."""

    build_id: int
    published_at: datetime


@dataclass(frozen=True)
class WeekFacts:
    """Everything that the page says. `charted` are the last weeks up to the page's, oldest first."""

    directorate: Directorate
    week: IsoWeek
    build: FiguresBuild
    regions: Sequence[OwnRegion]
    rollout: Sequence[RolloutState]
    charted: Sequence[ChartedWeek]
    deliveries: Sequence[DeliveryState]

    def series(self, region_code: str, metric: str) -> list[ChartedWeek]:
        """A figure of a region, week by week."""
        return [each for each in self.charted if (each.region_code, each.metric) == (region_code, metric)]

    def of_week(self, week: IsoWeek) -> list[ChartedWeek]:
        """All figures of a week."""
        return [each for each in self.charted if each.week_start_date == week.monday]


def read(settings: Settings, directorate_code: str, week: IsoWeek) -> WeekFacts:
    """What the published marts say, all of one build.

    Raises ParcError while nothing is published, DirectorateNotBuilt if the published marts do not know the
    directorate, ConfigurationError if its login does not work.
    """
    with connect_directorate(settings, directorate_code) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        builds = _rows(connection, FiguresBuild, _BUILD) if _is_published(connection) else []
        if not builds:
            raise ParcError("no marts are published yet, so there is no week to show", steps=(BUILD,))
        given = {
            "directorate": directorate_code,
            "monday": week.monday,
            "sunday": week.sunday,
            "first": week.earlier(WEEKS_DRAWN - 1).monday,
        }
        known = _rows(connection, Directorate, _DIRECTORATE, given)
        if not known:
            raise DirectorateNotBuilt(directorate_code)
        return WeekFacts(
            known[0],
            week,
            builds[0],
            _rows(connection, OwnRegion, _REGIONS, given),
            _rows(connection, RolloutState, _ROLLOUT, given),
            _rows(connection, ChartedWeek, _CHARTED, given),
            _rows(connection, DeliveryState, _DELIVERIES, given),
        )


def newest_week(settings: Settings, directorate_code: str) -> IsoWeek | None:
    """The last week that the marts have calls of; None while they have none."""
    with connect_directorate(settings, directorate_code) as connection:
        if not _is_published(connection):
            return None
        row = connection.execute("select max(business_date) from regional.mart_parc_rollout_daily").fetchone()
    return IsoWeek.of(row[0]) if row and row[0] else None


def _is_published(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("select to_regclass('regional.mart_process_behaviour') is not null").fetchone()
    return bool(row and row[0])


def _rows(
    connection: psycopg.Connection[Any], row: type[_Row], query: str, given: dict[str, Any] | None = None
) -> list[_Row]:
    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(query.encode(), given).fetchall()


_BUILD = "select build_id, published_at from regional.published_build"

_DIRECTORATE = """
select directorate_code, directorate_name from regional.dim_directorate
where directorate_code = %(directorate)s
"""

_REGIONS = """
select region_code, region_name, bool_or(directorate_code <> %(directorate)s) as is_shared
from regional.dim_department
group by region_code, region_name
having bool_or(directorate_code = %(directorate)s)
order by region_name
"""

_ROLLOUT = """
select
    daily.business_date, daily.region_code, daily.market, daily.status, daily.planned_go_live_date,
    daily.observed_go_live_date, daily.withdrawn_on,
    coalesce(newest.slip_days is null and newest.observed_go_live_date > newest.planned_go_live_date, false)
        as is_older_than_data
from regional.mart_parc_rollout_daily as daily
left join regional.mart_parc_rollout as newest using (region_code, market)
where daily.business_date = (
        select max(business_date) from regional.mart_parc_rollout_daily
        where business_date between %(monday)s and %(sunday)s
    )
    and daily.status <> 'unplanned'
order by daily.region_code, daily.planned_go_live_date, daily.market
"""

_CHARTED = """
select
    week_start_date, region_code, metric, metric_value, lower_limit, mean_value, upper_limit, run_length,
    signal, is_complete, is_event_week
from regional.mart_process_behaviour
where week_start_date between %(first)s and %(monday)s
order by region_code, metric, week_start_date
"""

_DELIVERIES = """
select
    feed, business_date, status, is_due, restatement_count, refused_count,
    (lateness_seconds is not null and not is_backfill) or exists (
        select from regional.mart_feed_health as later
        where later.feed = delivery.feed and later.business_date > delivery.business_date
            and later.first_landed_at < delivery.first_landed_at
    ) as was_late
from regional.mart_feed_health as delivery
where business_date between %(monday)s and %(sunday)s
order by feed, business_date
"""
