"""What the pages show of nights and of the models of a build."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from psycopg import Connection

from parc.build import failures
from parc.feeds import FEEDS
from parc.findings import Step
from parc.ledger import builds, due, nights, pages
from parc.ledger.builds import BuildNode
from parc.ledger.nights import FeedNight
from parc.ledger.pages import BuildRow

NIGHTS_SHOWN = 14


@dataclass(frozen=True)
class LastNights:
    """The last business dates, oldest first, and by feed and date what happened to them; a pair that is not
    there was not due. `is_daily`, by feed: of the others the snapshot before a missing one stays in force."""

    dates: list[date]
    is_daily: dict[str, bool]
    found: dict[tuple[str, date], FeedNight]


@dataclass(frozen=True)
class Model:
    """A model, seed or snapshot of a build and the tests that could run once it was there."""

    node: BuildNode
    tests: list[BuildNode] = field(default_factory=list)

    @property
    def failed_tests(self) -> list[BuildNode]:
        """Tests that did not pass, warnings included."""
        return [test for test in self.tests if test.status not in ("success", "skipped")]


@dataclass(frozen=True)
class BuildPage(BuildRow):
    """A build with its nodes, in the order in which they finished."""

    nodes: list[BuildNode]

    @property
    def failures(self) -> list[BuildNode]:
        """Nodes that failed."""
        return [node for node in self.nodes if node.has_failed]

    @property
    def steps(self) -> tuple[Step, ...]:
        """What to do about it; none if it is published or running."""
        is_over = self.status in ("failed", "abandoned")
        return failures.remedy(self.status, self.nodes, self.failed_by) if is_over else ()

    @property
    def statuses(self) -> dict[str, int]:
        """How many nodes have each status."""
        return Counter(node.status for node in self.nodes)

    @property
    def models(self) -> list[Model]:
        """Models, those with trouble first, then the slowest first."""
        rank = {"error": 0, "fail": 0, "skipped": 3, "success": 2}

        def order(model: Model) -> tuple[int, float]:
            trouble = min(rank.get(node.status, 1) for node in (model.node, *model.failed_tests))
            return trouble, -model.node.seconds

        return sorted(self._folded[0], key=order)

    @property
    def other_tests(self) -> list[BuildNode]:
        """Tests of what this build did not build."""
        return self._folded[1]

    @property
    def slowest_seconds(self) -> float:
        """Seconds of the slowest model."""
        return max((model.node.seconds for model in self._folded[0]), default=0)

    @cached_property
    def _folded(self) -> tuple[list[Model], list[BuildNode]]:
        """Each test under the last of its models to finish: only then could it run. The rest stand apart."""
        models = {node.node: Model(node) for node in self.nodes if node.kind not in ("test", "unit_test")}
        others = []
        for node in self.nodes:
            if node.node in models:
                continue
            read = [models[name] for name in node.tested or [] if name in models]
            if read:
                max(read, key=lambda model: model.node.position).tests.append(node)
            else:
                others.append(node)
        return list(models.values()), others


def last_nights(connection: Connection[Any]) -> LastNights:
    """The last nights up to the newest that anything is known of."""
    dates = nights.dates(connection, due.newest_night(connection), NIGHTS_SHOWN)
    found = nights.nights(connection, dates[0]) if dates else []
    is_daily = {feed.name: feed.is_daily for feed in FEEDS.values()}
    return LastNights(dates, is_daily, {(each.feed, each.business_date): each for each in found})


def build_page(connection: Connection[Any], build_id: int) -> BuildPage | None:
    """A build with its nodes; None where there is no such build."""
    row = pages.build(connection, build_id)
    return BuildPage(**vars(row), nodes=builds.nodes(connection, build_id)) if row else None
