"""One build: find what changed, let dbt compute and test it, publish all marts together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.errors import DiskFull

from parc.build import changes, dbt, failures, gaps, nodes, publication, resume
from parc.build.dbt import BuildProgress, DbtRun
from parc.errors import BuildFailed, ConfigurationError, ParcError, parts_of
from parc.feeds import FACTS
from parc.instants import iso
from parc.ledger import builds, due, locks, runs, write_builds
from parc.ledger.builds import FailedBy
from parc.ledger.due import Gap
from parc.rollout import estimates as effects
from parc.settings import Settings
from parc.warehouse import connect
from parc.wording import counted

EFFECT_MARTS = "mart_parc_effect+"
# dbt_process reports what would be read from dbt's files; an exposure is a node without work.
BUILD = ("build", "--no-write-json", "--exclude-resource-type", "exposure")
READING_PATIENCE_SECONDS = 1800
"""How long a build waits for maintenance that drops raw rows, which holds the lock one date at a time."""


@dataclass(frozen=True)
class BuildResult:
    """What a build did; `build_id` is None if the marts already held everything.

    `withdrawn_count` is how many withdrawn deliveries were removed from the marts. `seconds_by_node` has
    dbt's time for each node; `resumed_build_id` is the failed build that this one resumed; `missing` are the
    due deliveries that are not in it (see `parc.build.gaps`).
    """

    build_id: int | None
    delivery_count: int = 0
    date_count: int = 0
    withdrawn_count: int = 0
    rows_by_mart: dict[str, int] = field(default_factory=dict)
    nodes_by_status: dict[str, int] = field(default_factory=dict)
    seconds_by_node: dict[str, float] = field(default_factory=dict)
    resumed_build_id: int | None = None
    missing: list[Gap] = field(default_factory=list)

    @property
    def message(self) -> str:
        """A description for people, one fact per line."""
        if self.build_id is None:
            return "the marts already hold every published delivery"
        deliveries = counted(self.delivery_count, "delivery", "deliveries")
        rows = counted(sum(self.rows_by_mart.values()), "row")
        done = (
            f"build {self.build_id} published: {deliveries}, {counted(self.date_count, 'day')}, "
            f"{rows} in {counted(len(self.rows_by_mart), 'mart')}"
        )
        if self.withdrawn_count:
            done += f"; withdrawn deliveries removed: {self.withdrawn_count}"
        if self.resumed_build_id:
            done += f"; it resumed failed build {self.resumed_build_id}"
        return "\n".join([done, *gaps.words(self.missing)])

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        missing = [{**gap, "due_at": iso(datetime.fromisoformat(gap["due_at"]))} for gap in self.missing]
        return {**vars(self), "missing": missing}


@dataclass(frozen=True)
class _Opened:
    """The state of a build at its start."""

    build_id: int
    found: changes.Unbuilt
    entering: resume.InputDigests
    resumed_build_id: int | None


def build(
    settings: Settings, *, full_refresh: bool = False, progress: BuildProgress | None = None
) -> BuildResult:
    """Bring the marts up to date with every published delivery and seed.

    Only changed days are recomputed; `full_refresh` recomputes all days except those past retention, which
    do not change. The marts become visible in one transaction after every test has passed. If a build is
    killed, the next one does its work again.

    The result of each node is in `ops.build_node`. After a failed build with the same inputs, only failed,
    skipped and fixed nodes are run again.

    Raises Busy if another build is running, BuildFailed if a model or test fails, and ConfigurationError if
    the warehouse is lost or its disk is full (the marts do not change).
    """
    busy = "maintenance is dropping raw rows"
    with (
        building(settings) as connection,
        locks.held(connection, locks.READING, busy, patience_seconds=READING_PATIENCE_SECONDS),
    ):
        write_builds.abandon_running(connection)
        opened = _open(connection, settings, full_refresh)
        if opened is None:
            return BuildResult(None)
        build_id, found = opened.build_id, opened.found
        failed_by: FailedBy | None = None
        try:
            keeps_shapes = found.is_only_data_new and not full_refresh
            with dbt.started(settings, _watched(connection, progress), keeps_shapes=keeps_shapes) as runner:
                run = runner.run(*BUILD, *_arguments(settings, opened, full_refresh))
                if not run.has_failed and effects.refresh(
                    connection, effects.aim_of(settings.project), everything=full_refresh
                ):
                    # Effects are estimated from this run's tables; a second run then builds and tests their
                    # mart, and what reads it.
                    run = run.followed_by(
                        runner.run(*BUILD, "--select", EFFECT_MARTS, "--exclude-resource-type", "unit_test")
                    )
            done = nodes.read(connection, run)
            missing = due.gaps_of_running_build(connection)
            write_builds.note_results(connection, build_id, [node.as_entered for node in done], missing)
            if any(node.has_failed for node in done):
                with suppress(OSError):  # a full disk must not hide why the build failed
                    resume.keep(connection, settings, build_id, run, opened.entering)
                seen, failed_by = builds.published(connection), failures.failed_by(done)
                log = str(dbt.log_file(settings))
                raise BuildFailed(
                    failures.message(done, build_id, seen.build_id if seen else None, log),
                    steps=failures.remedy("failed", [node.as_entered for node in done], failed_by),
                )
            rows_by_mart = _close(connection, run, found, build_id)
            publication.settle(connection, run.entries.values())
            date_count = builds.date_count(connection, build_id, FACTS)
        except BaseException as error:
            is_expected = isinstance(error, (ParcError, psycopg.Error))
            if isinstance(error, DiskFull):
                failed_by = "disk full"
            elif isinstance(error, psycopg.OperationalError) and connection.broken:
                failed_by = "connection lost"
            # If the connection is lost, the next build finds this one running and marks it abandoned.
            with suppress(psycopg.OperationalError):
                write_builds.close_failed(
                    connection,
                    build_id,
                    "failed" if is_expected else "abandoned",
                    parts_of(error)[0] if is_expected else f"stopped while it ran ({type(error).__name__})",
                    failed_by,
                )
            if isinstance(error, psycopg.OperationalError) and failed_by:
                raise ConfigurationError(
                    f"build {build_id} did not end: {failed_by} ({str(error).strip().splitlines()[0]}); "
                    "BI sees what it saw before, and the next build does its work again",
                    steps=failures.remedy("failed", [], failed_by),
                ) from None
            raise
        return BuildResult(
            build_id,
            delivery_count=len(found.delivery_ids),
            date_count=date_count,
            withdrawn_count=len(found.withdrawn_ids),
            rows_by_mart=rows_by_mart,
            nodes_by_status=dict(Counter(node.status for node in done)),
            seconds_by_node={node.name: node.seconds for node in done},
            resumed_build_id=opened.resumed_build_id,
            missing=missing,
        )


@contextmanager
def building(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection that holds the build lock; sessions of a killed dbt are ended first.

    Raises Busy if another process is running dbt.
    """
    with connect(settings, "transformer", autocommit=True) as connection:
        busy = "another build of the marts is running"
        with locks.held(connection, locks.BUILD, busy):
            dbt.end_orphans(settings)
            yield connection


def _arguments(settings: Settings, opened: _Opened, full_refresh: bool) -> list[str]:
    if full_refresh:
        is_kept = opened.found.has_expired_dates
        return ["--full-refresh", *(["--vars", '{"keeps_expired_dates": true}'] if is_kept else [])]
    # Unit tests check formulas, which do not change from night to night.
    arguments = ["--exclude-resource-type", "unit_test"]
    if opened.resumed_build_id:
        return arguments + resume.arguments(settings)
    return arguments + opened.found.selection


def _watched(connection: psycopg.Connection[Any], progress: BuildProgress | None) -> BuildProgress:
    """End the build as soon as its connection is lost, because the build lock is lost with it."""

    def watch(what: str, done: int, total: int) -> None:
        connection.execute("select 1")
        if progress:
            progress(what, done, total)

    return watch


def _open(connection: psycopg.Connection[Any], settings: Settings, full_refresh: bool) -> _Opened | None:
    """Record the build and the dates it recomputes, from one snapshot of the ledger; None: nothing to do."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        found = changes.find(connection, settings.project / "dbt_project", everything=full_refresh)
        if found.is_empty and not full_refresh and not due.has_unreported_gaps(connection):
            return None
        entering = resume.inputs(connection, settings, found)
        resumed = None if full_refresh else resume.resumable(connection, settings, found, entering)
        build_id = write_builds.begin(
            connection,
            is_full_refresh=full_refresh,
            resumed_build_id=resumed,
            project_sha256=found.project_sha256,
            delivery_ids=found.delivery_ids,
            dates=found.dates,
        )
        runs.note(connection, settings, build_id=build_id)
        if found.request_dates:
            write_builds.add_jobs_requested_on(connection, build_id, found.request_dates)
    return _Opened(build_id, found, entering, resumed)


def _close(
    connection: psycopg.Connection[Any], run: DbtRun, found: changes.Unbuilt, build_id: int
) -> dict[str, int]:
    """Publish the marts and mark their deliveries as built, in the same transaction."""
    with connection.transaction():
        rows_by_mart = publication.publish(
            connection,
            run.entries.values(),
            build_id,
            causes=found.causes,
            is_redefined=found.is_project_changed,
        )
        write_builds.publish(
            connection,
            build_id,
            delivery_ids=found.delivery_ids,
            withdrawn_ids=found.withdrawn_ids,
            seeds={seed.name: (seed.sha256, seed.content) for seed in found.seeds.values()},
        )
    return rows_by_mart
