"""One build: find what changed, let dbt compute and test it, publish all marts together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg

from parc.build import changes, dbt, failures, gaps, nodes, publication, resume
from parc.build.dbt import DbtRun, Progress
from parc.errors import BuildFailed, ParcError
from parc.ledger import builds, due, locks, runs, write_builds
from parc.ledger.due import Gap
from parc.rollout import estimates as effects
from parc.settings import Settings
from parc.warehouse import connect

EFFECT_MART = "mart_parc_effect"
BUILD = ("build", "--no-write-json")  # what is read of dbt's files is told without them
READING_PATIENCE_SECONDS = 1800
"""A build waits for whoever drops raw rows, a date at a time."""


@dataclass(frozen=True)
class BuildResult:
    """What a build did; `build_id` is None when the marts already held everything.

    `withdrawn_count` deliveries that the marts may have held were taken out. `seconds_by_node` has dbt's time
    for each node; `resumed_build_id` is the failed build that this one went on from; `missing` the deliveries
    that were due and are not in it (see `parc.build.gaps`).
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
        """What a person reads of it, one thing a line."""
        if self.build_id is None:
            return "the marts already hold every published delivery"
        done = (
            f"build {self.build_id} published: {self.delivery_count} deliveries, {self.date_count} days, "
            f"{sum(self.rows_by_mart.values()):,} rows in {len(self.rows_by_mart)} marts"
        )
        if self.withdrawn_count:
            done += f"; {self.withdrawn_count} withdrawn deliveries taken out"
        if self.resumed_build_id:
            done += f"; it went on from what failed in build {self.resumed_build_id}"
        return "\n".join([done, *gaps.words(self.missing)])


@dataclass(frozen=True)
class _Opened:
    """A build as it begins."""

    build_id: int
    found: changes.Unbuilt
    entering: resume.Inputs
    resumed_build_id: int | None


def build(settings: Settings, *, full_refresh: bool = False, progress: Progress | None = None) -> BuildResult:
    """Bring the marts up to date with every published delivery and seed.

    Only the days that changed are recomputed; `full_refresh` recomputes all but those past retention, which
    stay as they are. The marts become visible in one transaction after every test has passed. Killed at any
    point, the next run does the same work again.

    What became of each node is in `ops.build_node`. After a failed build of the same inputs only what failed,
    what was skipped because of it and what was mended is done again.

    Raises Busy when another build runs and BuildFailed when a model or test fails (marts stay as they were).
    """
    busy = "raw tables are being cleaned up (`parc maintain`); run this again when that has ended"
    with (
        building(settings) as connection,
        locks.held(connection, locks.READING, busy, patience_seconds=READING_PATIENCE_SECONDS),
    ):
        write_builds.abandon_running(connection)
        opened = _open(connection, settings, full_refresh)
        if opened is None:
            return BuildResult(None)
        build_id, found = opened.build_id, opened.found
        try:
            with dbt.started(settings, _watched(connection, progress)) as runner:
                run = runner.run(*BUILD, *_arguments(settings, opened, full_refresh))
                if not run.has_failed and effects.refresh(connection, everything=full_refresh):
                    # The effects are of this run's tables; the mart made of them comes, tested, in a second.
                    run = run.followed_by(
                        runner.run(*BUILD, "--select", EFFECT_MART, "--exclude-resource-type", "unit_test")
                    )
            done = nodes.read(connection, run)
            missing = due.gaps_of_running_build(connection)
            write_builds.note_results(connection, build_id, [node.as_entered for node in done], missing)
            if any(node.has_failed for node in done):
                with suppress(OSError):  # a full disk must not hide why the build failed
                    resume.keep(connection, settings, build_id, run, opened.entering)
                seen = builds.published(connection)
                log = str(dbt.log_file(settings))
                raise BuildFailed(failures.message(done, build_id, seen.build_id if seen else None, log))
            rows_by_mart = _close(connection, run, found, build_id)
            publication.settle(connection, run.entries.values())
            date_count = builds.date_count(connection, build_id, changes.FACTS)
        except BaseException as error:
            is_expected = isinstance(error, (ParcError, psycopg.Error))
            # Where the connection is gone, the next build finds this one running and calls it abandoned.
            with suppress(psycopg.OperationalError):
                write_builds.close_failed(
                    connection,
                    build_id,
                    "failed" if is_expected else "abandoned",
                    str(error) if is_expected else f"stopped while it ran ({type(error).__name__})",
                )
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
    """A connection that holds the lock of whoever runs dbt; a killed dbt's sessions are ended first.

    Raises Busy when somebody else runs it.
    """
    with connect(settings, "transformer", autocommit=True) as connection:
        busy = "another build of the marts is running (`parc status`); run this again when it has ended"
        with locks.held(connection, locks.BUILD, busy):
            dbt.end_orphans(settings)
            yield connection


def _arguments(settings: Settings, opened: _Opened, full_refresh: bool) -> list[str]:
    if full_refresh:
        is_kept = opened.found.has_expired_dates
        return ["--full-refresh", *(["--vars", '{"keeps_expired_dates": true}'] if is_kept else [])]
    # Unit tests check formulas, which a night does not change.
    arguments = ["--exclude-resource-type", "unit_test"]
    if opened.resumed_build_id:
        return arguments + resume.arguments(settings)
    if not (opened.found.are_seeds_changed or opened.found.are_seeds_in_doubt):
        arguments += ["--exclude-resource-type", "seed"]
    return arguments


def _watched(connection: psycopg.Connection[Any], progress: Progress | None) -> Progress:
    """Ends the build as soon as its connection is lost, and with it the lock that keeps other builds away."""

    def watch(what: str, done: int, total: int) -> None:
        connection.execute("select 1")
        if progress:
            progress(what, done, total)

    return watch


def _open(connection: psycopg.Connection[Any], settings: Settings, full_refresh: bool) -> _Opened | None:
    """Record the build and the dates it recomputes, all from one view of the ledger; None: nothing to do."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        found = changes.find(connection, settings.project / "dbt_project" / "seeds", everything=full_refresh)
        if found.is_empty and not full_refresh and not due.has_unreported_gaps(connection):
            return None
        entering = resume.inputs(connection, settings, found)
        resumed = None if full_refresh else resume.resumable(connection, settings, found, entering)
        build_id = write_builds.begin(
            connection,
            is_full_refresh=full_refresh,
            resumed_build_id=resumed,
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
    """Publish the marts and mark what they hold as built: visible together or not at all."""
    with connection.transaction():
        rows_by_mart = publication.publish(connection, run.entries.values(), build_id)
        write_builds.publish(
            connection,
            build_id,
            delivery_ids=found.delivery_ids,
            withdrawn_ids=found.withdrawn_ids,
            seeds={seed.name: (seed.sha256, seed.content) for seed in found.seeds.values()},
        )
    return rows_by_mart
