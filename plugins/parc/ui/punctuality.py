"""How the nights went: when each feed came and BI saw it, how long that took, and whether it was on time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from statistics import median
from typing import Any, Literal

from psycopg import Connection

from parc.ledger import due, timeline
from parc.ledger.due import DueTime
from parc.ledger.timeline import Passage
from parc.policy import deadline_of_release
from parc.settings import Settings
from parc.ui.html import morning_after
from parc.ui.language import Texts

Punctuality = Literal["on time", "late", "not over", "loaded afterwards"]


@dataclass(frozen=True)
class FeedOfNight:
    """A feed in a night: when it was due (None if it was not) and what became of it (None if nothing
    came)."""

    feed: str
    is_daily: bool
    due: DueTime | None
    passage: Passage | None

    @property
    def due_at(self) -> datetime | None:
        """When it was due (UTC); None if it was not."""
        return self.due.due_at if self.due else None

    @property
    def is_missing(self) -> bool:
        """Whether it was due, is no longer expected, and nothing good has come."""
        return self.due is not None and not self.due.is_still_expected and self.came_at is None

    @property
    def came_at(self) -> datetime | None:
        """When its first good delivery came (UTC)."""
        return self.passage.came_at if self.passage else None

    @property
    def late_by(self) -> timedelta | None:
        """How long after its time it came; None if it came in time, was not due or has not come."""
        if self.due_at is None or self.came_at is None or self.came_at <= self.due_at:
            return None
        return self.came_at - self.due_at


@dataclass(frozen=True)
class Night:
    """A business date: its feeds, the instant (UTC) by which BI should see it, and when the switch followed.
    `is_history`: its deadlines had passed before the platform loaded anything."""

    business_date: date
    feeds: list[FeedOfNight]
    deadline: datetime
    released_at: datetime | None
    is_history: bool

    @property
    def daily(self) -> list[Passage]:
        """What came of the feeds that come every day."""
        return [each.passage for each in self.feeds if each.is_daily and each.passage]

    @property
    def build_ids(self) -> list[int]:
        """The builds in which BI first saw them."""
        return sorted({each.build_id for each in self.daily if each.build_id})

    @property
    def seen_at(self) -> datetime | None:
        """When BI saw the last of them (UTC); None while one is missing."""
        wanted = [each for each in self.feeds if each.is_daily and (each.due_at or each.passage)]
        seen = [each.passage.seen_at for each in wanted if each.passage and each.passage.seen_at]
        return max(seen) if wanted and len(seen) == len(wanted) else None

    @property
    def build_began_at(self) -> datetime | None:
        """When the last of these builds began (UTC)."""
        return max((each.build_began_at for each in self.daily if each.build_began_at), default=None)

    @property
    def loading_seconds(self) -> float | None:
        """The longest time from the arrival of a daily feed until it was published."""
        return max(
            (
                (each.published_at - each.came_at).total_seconds()
                for each in self.daily
                if each.published_at and each.came_at
            ),
            default=None,
        )

    @property
    def building_seconds(self) -> float | None:
        """From the last publication until BI saw it: waiting and building."""
        published = [each.published_at for each in self.daily if each.published_at]
        return (self.seen_at - max(published)).total_seconds() if self.seen_at else None

    @property
    def releasing_seconds(self) -> float | None:
        """From then until the switch followed; None if it did not, or began with an incomplete night."""
        if not self.released_at or not self.seen_at or self.released_at < self.seen_at:
            return None
        return (self.released_at - self.seen_at).total_seconds()

    def verdict(self, now: datetime) -> Punctuality:
        """Whether BI saw it by its deadline."""
        if self.is_history:
            return "loaded afterwards"
        if self.seen_at:
            return "on time" if self.seen_at <= self.deadline else "late"
        return "not over" if now <= self.deadline else "late"

    def sentence(self, t: Texts) -> str:
        """How it went, against which deadlines; times as on the page (`morning_after`)."""
        if self.is_history:
            return t("nights.history")

        def clock(instant: datetime) -> str:
            return morning_after(instant, self.business_date)

        deadline = clock(self.deadline)
        said = [
            t("nights.seen_since", at=clock(self.seen_at), deadline=deadline)
            if self.seen_at
            else t("nights.not_seen", deadline=deadline)
        ]
        for each in self.feeds:
            if each.due_at is None or not (each.is_daily or each.late_by):
                continue
            feed, due = t(f"feed.{each.feed}"), clock(each.due_at)
            if each.came_at and each.late_by:
                said.append(t("nights.came", feed=feed, at=clock(each.came_at), due=due))
            elif each.is_missing:
                what = "was_refused" if each.passage and each.passage.is_refused else "not_come"
                said.append(t(f"nights.{what}", feed=feed, due=due))
        return "; ".join(said)


@dataclass(frozen=True)
class Week:
    """The nights of a week from `monday` on: how many went how, and medians in seconds (None: of none)."""

    monday: date
    night_count: int
    on_time_count: int
    late_count: int
    loading: float | None
    building: float | None
    releasing: float | None


def nights(settings: Settings, connection: Connection[Any], newest: date, count: int) -> list[Night]:
    """The last `count` nights, the newest first."""
    first = newest - timedelta(days=count - 1)
    calendar = due.calendar(settings.project)
    times = due.due_times(connection, calendar, first, newest)
    came = {(each.feed, each.business_date): each for each in timeline.passages(connection, first, newest)}
    released, began = timeline.released(connection, first, newest), timeline.began_at(connection)
    found = []
    for day in (newest - timedelta(days=back) for back in range(count)):
        deadline = deadline_of_release(day)
        feeds = [
            FeedOfNight(entry.feed, entry.is_daily, times.get((entry.feed, day)), came.get((entry.feed, day)))
            for entry in sorted(calendar, key=lambda entry: not entry.is_daily)
        ]
        is_history = began is None or deadline < began
        found.append(Night(day, feeds, deadline, released.get(day), is_history))
    return found


def weeks(found: Iterable[Night], now: datetime) -> Iterator[Week]:
    """These nights week by week, in their order."""

    def monday(night: Night) -> date:
        return night.business_date - timedelta(days=night.business_date.weekday())

    for first, of_week in groupby(found, monday):
        group = list(of_week)
        verdicts = [night.verdict(now) for night in group]
        yield Week(
            first,
            sum(bool(night.daily) for night in group),
            verdicts.count("on time"),
            verdicts.count("late"),
            _median(night.loading_seconds for night in group),
            _median(night.building_seconds for night in group),
            _median(night.releasing_seconds for night in group),
        )


def _median(spans: Iterable[float | None]) -> float | None:
    seconds = [span for span in spans if span is not None]
    return median(seconds) if seconds else None
