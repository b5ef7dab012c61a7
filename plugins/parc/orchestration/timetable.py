"""When the DAGs run, what their runs are called, and which dates a backfill means: our own timetables,
registered by the plugin."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any, Self

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from airflow.utils.types import DagRunType
from pendulum import DateTime, instance

from parc.instants import PARIS, iso
from parc.settings import Settings


class ParisTimetable(CronTriggerTimetable):
    """Ticks of a cron expression in Europe/Paris; none in the demonstration, whose nights are of 2012.

    Runs that a tick or a person starts are named by the time of Paris; those that an asset starts are named
    by Airflow alone, by UTC.
    """

    def __init__(self, cron: str) -> None:
        # Without this zero Airflow also runs the tick before the platform started, unlike its docs say.
        super().__init__(cron, timezone="Europe/Paris", run_immediately=timedelta(0))

    @classmethod
    def deserialize(cls, data: dict[str, str]) -> Self:
        """The timetable as Airflow stored it."""
        return cls(data["expression"])

    def serialize(self) -> dict[str, str]:
        """What tells it apart: its cron expression."""
        return {"expression": self._expression}

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next tick, if there is one; a backfill has its own."""
        if not restriction.catchup and Settings.from_env().demonstration_mark.exists():
            return None
        return super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )

    def generate_run_id(self, *, run_type: DagRunType, run_after: DateTime, **_: Any) -> str:
        """The name of a run, such as `scheduled__2012-04-26T04:00:00+02:00`."""
        return run_type.generate_run_id(suffix=iso(run_after, "auto"))


class NightTimetable(ParisTimetable):
    """A daily tick, which works on the business date before it.

    A backfill names business dates: Airflow alone would take its dates for those of the ticks, and load each
    day before. A backfill of long ago is no reason to run the last night as well, which `ingest_late` looks
    at anyway: Airflow would, as it takes the backfill for the last run.
    """

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next tick; in a backfill, the next tick that works on a business date of its range."""
        from parc.policy import NIGHTS_LOOKED_AT  # its imports are not for every process of Airflow's

        last = last_automated_data_interval
        if restriction.catchup:
            restriction = TimeRestriction(
                _tick_day(restriction.earliest, timedelta(0)),
                _tick_day(restriction.latest, timedelta(days=1, microseconds=-1)),
                restriction.catchup,
            )
        elif last and last.end < datetime.now(UTC) - timedelta(days=NIGHTS_LOOKED_AT):
            last = None
        info = super().next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        # Airflow names the runs of a backfill by this instant, in whichever zone it is.
        return info and DagRunInfo(info.run_after.in_timezone(PARIS.key), info.data_interval)


def _tick_day(bound: DateTime | None, into: timedelta) -> DateTime | None:
    """An instant of the day on which the business date of `bound` (its date in Paris) is worked on."""
    if bound is None:
        return None
    day = bound.astimezone(PARIS).date() + timedelta(days=1)
    return instance(datetime.combine(day, time(), PARIS) + into)
