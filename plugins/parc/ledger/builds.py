"""Builds of the marts: what they did and what the published marts hold. Read from `ops.build`,
`ops.build_node`, `ops.build_date`, `ops.seed_version`, `ops.regional_view`, `ops.grain_views` and
`marts.published_build`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

from parc.ledger.due import Gap

BuildStatus = Literal["running", "published", "failed", "abandoned"]
FailedBy = Literal["disk full", "connection lost"]
"""What of the machine, and not of data or models, made a build fail."""
FAILED_STATUSES = ("error", "fail")
"""Of nodes that failed themselves: a model that ended with an error, a test that found rows."""

IS_CHANGED_JOB = "job_id in (select ops.changed_jobs())"
"""Of a row of jobs: whether it was recomputed since the last published build."""


@dataclass(frozen=True)
class Build:
    """A build; instants are UTC. `missing` are the due deliveries it does not contain, `resumed_build_id` the
    failed build that it resumed; `failed_by` is None if data or models made it fail."""

    build_id: int
    status: BuildStatus
    is_full_refresh: bool
    started_at: datetime
    finished_at: datetime | None
    reason: str | None
    missing: list[Gap]
    resumed_build_id: int | None
    failed_by: FailedBy | None


@dataclass(frozen=True)
class PublishedBuild:
    """The build that BI sees, since when (UTC), and the due deliveries it does not contain."""

    build_id: int
    published_at: datetime
    missing: list[Gap]


@dataclass(frozen=True)
class BuildNode:
    """The result of a model, seed or test of a build; `kind` is the resource type in dbt.

    `tested` are the models and seeds that a test reads. `status` is success, warn, fail, error or skipped;
    `row_count` the rows written, or those that break a test. `failing_rows` are the first of these, `origins`
    the deliveries they may come from. `position` is the order of finishing, from 1. `is_out_of_step`: it
    failed because its table has other columns than the model.
    """

    node: str
    kind: str
    tested: list[str] | None
    status: str
    seconds: float
    row_count: int | None
    message: str | None
    failing_rows: list[dict[str, Any]] | None
    origins: list[dict[str, Any]]
    position: int
    is_out_of_step: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether the node itself failed; a skipped node did not."""
        return self.status in FAILED_STATUSES


class BuiltSeed(NamedTuple):
    """A seed as in the published marts. `content` is its CSV text; None if an old version built it."""

    sha256: str
    content: str | None


_BUILD = f"select {', '.join(field.name for field in fields(Build))} from ops.build"


def get(connection: Connection[Any], build_id: int) -> Build | None:
    """The build with this id."""
    return _one(connection, "where build_id = %s", [build_id])


def last(connection: Connection[Any]) -> Build | None:
    """The newest build, running or ended."""
    return _one(connection, "order by build_id desc limit 1")


def last_builds(connection: Connection[Any], count: int) -> list[Build]:
    """The last builds, the newest first."""
    with connection.cursor(row_factory=class_row(Build)) as cursor:
        return cursor.execute(f"{_BUILD} order by build_id desc limit %s".encode(), [count]).fetchall()


def last_ended(connection: Connection[Any]) -> Build | None:
    """The newest build that has ended."""
    return _one(connection, "where status <> 'running' order by build_id desc limit 1")


def is_last_published(connection: Connection[Any]) -> bool:
    """Whether the newest build is published: only then do the marts match the tables they are made from."""
    newest = last(connection)
    return newest is not None and newest.status == "published"


def published(connection: Connection[Any]) -> PublishedBuild | None:
    """The build that BI sees; None before the first."""
    with connection.cursor(row_factory=class_row(PublishedBuild)) as cursor:
        return cursor.execute("select build_id, published_at, missing from marts.published_build").fetchone()


def nodes(connection: Connection[Any], build_id: int) -> list[BuildNode]:
    """The nodes of a build in the order in which they finished."""
    columns = ", ".join(field.name for field in fields(BuildNode))
    with connection.cursor(row_factory=class_row(BuildNode)) as cursor:
        return cursor.execute(
            f"select {columns} from ops.build_node where build_id = %s order by position".encode(), [build_id]
        ).fetchall()


def nodes_of_last_builds(connection: Connection[Any], count: int) -> list[str]:
    """The names of all nodes that the last builds ran."""
    return _values(
        connection,
        "select distinct node from ops.build_node "
        "where build_id > (select max(build_id) from ops.build) - %s",
        [count],
    )


def seeds(connection: Connection[Any]) -> dict[str, BuiltSeed]:
    """The seeds of the published marts, by name."""
    rows = connection.execute("select seed, sha256, content from ops.seed_version")
    return {name: BuiltSeed(*row) for name, *row in rows}


def project_sha256(connection: Connection[Any]) -> str | None:
    """The digest of the dbt project of the published marts; None if an old version built them."""
    digests = _values(
        connection,
        "select project_sha256 from ops.build where status = 'published' order by build_id desc limit 1",
    )
    return digests[0] if digests else None


def dates(connection: Connection[Any], build_id: int) -> set[tuple[str, date]]:
    """The subjects and business dates that a build recomputes."""
    rows = connection.execute(
        "select feed, business_date from ops.build_date where build_id = %s", [build_id]
    )
    return set(rows.fetchall())


def date_count(connection: Connection[Any], build_id: int, subjects: Collection[str]) -> int:
    """How many business dates of these subjects a build recomputes."""
    return len({day for subject, day in dates(connection, build_id) if subject in subjects})


def dates_left_unpublished(connection: Connection[Any]) -> dict[str, set[date]]:
    """Dates that builds recomputed since the last published one, by subject: BI has not seen these changes
    yet."""
    rows = connection.execute(
        "select distinct feed, business_date from ops.build_date where build_id > "
        "(select coalesce(max(build_id), 0) from ops.build where status = 'published')"
    )
    found: dict[str, set[date]] = {}
    for subject, business_date in rows:
        found.setdefault(subject, set()).add(business_date)
    return found


def changed_dates(
    connection: Connection[Any],
    subjects: Sequence[str],
    *,
    lookback_days: int = 0,
    lookahead_days: int = 0,
    own_date_subjects: Sequence[str] = (),
) -> list[date]:
    """The dates that the running build recomputes for these subjects, as `ops.changed_dates` says."""
    return _values(
        connection,
        "select ops.changed_dates(%s, %s, %s, %s)",
        [list(subjects), lookback_days, lookahead_days, list(own_date_subjects)],
    )


def grain_views(connection: Connection[Any]) -> dict[str, tuple[list[str], str]]:
    """The views of one grain of each relation: their names, and the digest of what they were made from."""
    rows = connection.execute("select relation, names, made_from from ops.grain_views")
    return {relation: (names, made_from) for relation, names, made_from in rows}


def regional_views(connection: Connection[Any]) -> dict[str, str]:
    """The query of each view that directorates read, by name."""
    return dict(connection.execute("select name, definition from ops.regional_view").fetchall())


def _one(connection: Connection[Any], condition: str, values: list[Any] | None = None) -> Build | None:
    with connection.cursor(row_factory=class_row(Build)) as cursor:
        return cursor.execute(f"{_BUILD} {condition}".encode(), values).fetchone()


def _values(connection: Connection[Any], query: str, values: list[Any] | None = None) -> list[Any]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()
