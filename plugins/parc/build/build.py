"""One build: find what changed, let dbt compute and test it, publish all marts together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg

from parc.build import changes, dbt, publication
from parc.build.dbt import Progress
from parc.errors import Busy, ParcError
from parc.settings import Settings
from parc.warehouse import connect, runs

BUILD_LOCK = 7_201_200_010


@dataclass(frozen=True)
class BuildResult:
    """What a build did; `build_id` is None when the marts already held everything."""

    build_id: int | None
    delivery_count: int = 0
    date_count: int = 0
    rows_by_mart: dict[str, int] = field(default_factory=dict)
    nodes_by_status: dict[str, int] = field(default_factory=dict)


def build(settings: Settings, *, full_refresh: bool = False, progress: Progress | None = None) -> BuildResult:
    """Bring the marts up to date with every published delivery and seed.

    Only the days that changed are recomputed; `full_refresh` recomputes all. The marts become visible in
    one transaction after every test has passed. Killed at any point, the next run does the same work again.

    Raises Busy when another build runs and BuildFailed when a model or test fails (marts stay as they were).
    """
    with connect(settings, "transformer", autocommit=True) as connection:
        locked = connection.execute("select pg_try_advisory_lock(%s)", [BUILD_LOCK]).fetchone()
        if not (locked and locked[0]):
            raise Busy(
                "another build of the marts is running (`parc status`); run this again when it has ended"
            )
        connection.execute(
            "update ops.build set status = 'abandoned', finished_at = clock_timestamp(), "
            "reason = 'its process ended before it did' where status = 'running'"
        )
        found, build_id = _open(connection, settings, full_refresh)
        if build_id is None:
            return BuildResult(None)
        try:
            if full_refresh:
                arguments = ["--full-refresh"]
            else:
                # Unit tests check formulas, which a night does not change.
                arguments = ["--exclude-resource-type", "unit_test"]
                if not (found.are_seeds_changed or found.are_seeds_in_doubt):
                    arguments += ["--exclude-resource-type", "seed"]
            run = dbt.run(settings, "build", *arguments, progress=progress)
            rows_by_mart = _close(connection, run.manifest, found, build_id)
            dates = connection.execute(
                "select count(distinct business_date) from ops.build_date "
                "where build_id = %s and feed = any (%s)",
                [build_id, list(changes.FACTS)],
            ).fetchone()
        except (ParcError, psycopg.Error) as error:
            connection.execute(
                "update ops.build set status = 'failed', finished_at = clock_timestamp(), reason = %s "
                "where build_id = %s",
                [str(error), build_id],
            )
            raise
        return BuildResult(
            build_id,
            delivery_count=len(found.delivery_ids),
            date_count=dates[0] if dates else 0,
            rows_by_mart=rows_by_mart,
            nodes_by_status=run.statuses,
        )


def _open(
    connection: psycopg.Connection[Any], settings: Settings, full_refresh: bool
) -> tuple[changes.Changes, int | None]:
    """Record the build and the dates it recomputes, all from one view of the ledger."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        found = changes.find(connection, settings.project / "dbt_project" / "seeds", everything=full_refresh)
        if found.is_empty and not full_refresh:
            return found, None
        row = connection.execute(
            "insert into ops.build (status, is_full_refresh) values ('running', %s) returning build_id",
            [full_refresh],
        ).fetchone()
        assert row is not None
        build_id = int(row[0])
        runs.note(connection, settings, build_id=build_id)
        connection.execute(
            "insert into ops.build_delivery select %s, unnest(%s::bigint[])", [build_id, found.delivery_ids]
        )
        for subject, dates in found.dates.items():
            connection.execute(
                "insert into ops.build_date select %s, %s, unnest(%s::date[])", [build_id, subject, dates]
            )
        if found.request_dates:
            connection.execute(
                "insert into ops.build_job select %s, job_id from build.fct_interventions "
                "where requested_date = any (%s)",
                [build_id, found.request_dates],
            )
    return found, build_id


def _close(
    connection: psycopg.Connection[Any], manifest: dict[str, Any], found: changes.Changes, build_id: int
) -> dict[str, int]:
    """Publish the marts and mark what they hold as built: visible together or not at all."""
    with connection.transaction():
        rows_by_mart = publication.publish(connection, manifest, build_id)
        connection.execute(
            "update ops.delivery set built_in = %s where delivery_id = any (%s)",
            [build_id, found.delivery_ids],
        )
        connection.execute("delete from ops.seed_version where not seed = any (%s)", [list(found.seeds)])
        for seed in found.seeds.values():
            connection.execute(
                "insert into ops.seed_version (seed, sha256, content, build_id) values (%s, %s, %s, %s) "
                "on conflict (seed) do update set sha256 = excluded.sha256, content = excluded.content, "
                "build_id = excluded.build_id where seed_version.sha256 <> excluded.sha256",
                [seed.name, seed.sha256, seed.content, build_id],
            )
        connection.execute("delete from ops.build_job where build_id <= %s", [build_id])
        connection.execute(
            "update ops.build set status = 'published', finished_at = clock_timestamp() where build_id = %s",
            [build_id],
        )
    return rows_by_mart
