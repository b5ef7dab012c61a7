"""What a build writes about itself (`ops.build` and the tables next to it) and on its deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Literal

from psycopg import Connection
from psycopg.types.json import Jsonb

from parc.ledger.builds import BuildNode, FailedBy
from parc.ledger.due import Gap


def abandon_running(connection: Connection[Any]) -> None:
    """Close the build whose process died. The caller holds the lock of builds."""
    connection.execute(
        "update ops.build set status = 'abandoned', finished_at = clock_timestamp(), "
        "reason = 'its process ended before it did' where status = 'running'"
    )


def begin(
    connection: Connection[Any],
    *,
    is_full_refresh: bool,
    resumed_build_id: int | None,
    project_sha256: str,
    delivery_ids: Sequence[int],
    dates: Mapping[str, Sequence[date]],
) -> int:
    """Record a running build, the deliveries new in it, and the dates it recomputes by subject;
    returns its id."""
    # A crash of PostgreSQL makes it skip up to 32 numbers: the next one is the last build's plus one.
    connection.execute(
        "select setval('ops.build_build_id_seq', coalesce(max(build_id), 0) + 1, false) from ops.build"
    )
    row = connection.execute(
        "insert into ops.build (status, is_full_refresh, resumed_build_id, project_sha256) "
        "values ('running', %s, %s, %s) returning build_id",
        [is_full_refresh, resumed_build_id, project_sha256],
    ).fetchone()
    assert row
    build_id = int(row[0])
    connection.execute(
        "insert into ops.build_delivery select %s, unnest(%s::bigint[])", [build_id, list(delivery_ids)]
    )
    for subject, days in dates.items():
        connection.execute(
            "insert into ops.build_date select %s, %s, unnest(%s::date[])", [build_id, subject, list(days)]
        )
    return build_id


def add_jobs_requested_on(connection: Connection[Any], build_id: int, dates: Sequence[date]) -> None:
    """Also recompute the jobs that customers requested on these dates, except those past retention."""
    connection.execute(
        "insert into ops.build_job select %s, job_id from build.fct_interventions as job "
        "where requested_date = any (%s) and not exists (select from ops.delivery as expired "
        "where expired.feed = 'interventions' and expired.business_date = job.business_date "
        "and expired.expired_at is not null)",
        [build_id, list(dates)],
    )


def note_results(
    connection: Connection[Any], build_id: int, nodes: Iterable[BuildNode], missing: Sequence[Gap]
) -> None:
    """Record the result of each node, and the due deliveries that the build does not contain."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.build_node (build_id, node, kind, tested, status, seconds, row_count, message, "
            "failing_rows, origins, position, is_out_of_step) "
            "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    build_id,
                    node.node,
                    node.kind,
                    node.tested,
                    node.status,
                    node.seconds,
                    node.row_count,
                    node.message,
                    Jsonb(node.failing_rows) if node.failing_rows else None,
                    Jsonb(node.origins),
                    node.position,
                    node.is_out_of_step,
                )
                for node in nodes
            ],
        )
        cursor.execute("update ops.build set missing = %s where build_id = %s", [Jsonb(missing), build_id])


def close_failed(
    connection: Connection[Any],
    build_id: int,
    status: Literal["failed", "abandoned"],
    reason: str,
    failed_by: FailedBy | None = None,
) -> None:
    """Close a build that will not be published, if it is still running."""
    connection.execute(
        "update ops.build set status = %s, finished_at = clock_timestamp(), reason = %s, failed_by = %s "
        "where build_id = %s and status = 'running'",
        [status, reason, failed_by, build_id],
    )


def publish(
    connection: Connection[Any],
    build_id: int,
    *,
    delivery_ids: Sequence[int],
    withdrawn_ids: Sequence[int],
    seeds: Mapping[str, tuple[str, str]],
) -> None:
    """Close a build as published. Marks the deliveries that it is the first to contain, and the withdrawn
    ones that it is the first to leave out; `seeds` are all seeds by name, as (sha256, content)."""
    connection.execute(
        "update ops.delivery set built_in = %s where delivery_id = any (%s)", [build_id, list(delivery_ids)]
    )
    connection.execute(
        "update ops.delivery set withdrawn_in = %s where delivery_id = any (%s)",
        [build_id, list(withdrawn_ids)],
    )
    connection.execute("delete from ops.seed_version where not seed = any (%s)", [list(seeds)])
    for name, (sha256, content) in seeds.items():
        connection.execute(
            "insert into ops.seed_version (seed, sha256, content, build_id) values (%s, %s, %s, %s) "
            "on conflict (seed) do update set sha256 = excluded.sha256, content = excluded.content, "
            "build_id = excluded.build_id where seed_version.sha256 <> excluded.sha256",
            [name, sha256, content, build_id],
        )
    connection.execute("delete from ops.build_job where build_id <= %s", [build_id])
    connection.execute(
        "update ops.build set status = 'published', finished_at = clock_timestamp() where build_id = %s",
        [build_id],
    )


def show_to_bi(connection: Connection[Any], build_id: int) -> None:
    """Make this the build in `marts.published_build`, which BI reads."""
    connection.execute("delete from marts.published_build")
    connection.execute(
        "insert into marts.published_build (build_id, published_at, missing, missing_text) "
        "select build_id, clock_timestamp(), missing, coalesce((select string_agg(concat_ws("
        "' ', gap ->> 'feed', gap ->> 'business_date', gap ->> 'status'), ', ') "
        "from jsonb_array_elements(missing) as gap), '') from ops.build where build_id = %s",
        [build_id],
    )


def note_grain_views(connection: Connection[Any], relation: str, names: list[str], made_from: str) -> None:
    """Note the views of one grain of a relation, and the digest of what they were made from."""
    connection.execute("insert into ops.grain_views values (%s, %s, %s)", [relation, names, made_from])


def forget_grain_views(connection: Connection[Any], relation: str) -> None:
    """Note that the views of one grain of a relation were dropped."""
    connection.execute("delete from ops.grain_views where relation = %s", [relation])


def note_regional_view(connection: Connection[Any], name: str, definition: str) -> None:
    """Note the query that a view of directorates was made with."""
    connection.execute("insert into ops.regional_view values (%s, %s)", [name, definition])


def forget_regional_view(connection: Connection[Any], name: str) -> None:
    """Note that a view of directorates was dropped."""
    connection.execute("delete from ops.regional_view where name = %s", [name])
