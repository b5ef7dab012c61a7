"""What the pages show about builds and deliveries, each with the Airflow run that made it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

from parc.feeds import FACTS
from parc.ledger.builds import FAILED_STATUSES, BuildStatus, FailedBy
from parc.ledger.deliveries import DeliveryStatus, File
from parc.ledger.due import Gap

DELIVERIES_SHOWN = 100


@dataclass(frozen=True)
class BuildRow:
    """A build: its duration so far, the deliveries new in it, the dates recomputed, its nodes, and how many
    of them failed. `dag_id` and `run_id` are None if no Airflow run made it; instants are UTC."""

    build_id: int
    status: BuildStatus
    is_full_refresh: bool
    started_at: datetime
    finished_at: datetime | None
    seconds: float
    reason: str | None
    missing: list[Gap]
    resumed_build_id: int | None
    failed_by: FailedBy | None
    delivery_count: int
    date_count: int
    node_count: int
    bad_count: int
    dag_id: str | None
    run_id: str | None


@dataclass(frozen=True)
class DeliveryRow:
    """A delivery. `docs_page` is the page with the results of its checks, as a path inside Data Docs.
    `dag_id` and `run_id` are None if no Airflow run loaded it; instants are UTC."""

    delivery_id: int
    feed: str
    business_date: date
    status: DeliveryStatus
    files: list[File]
    rows_read: int
    rows_published: int
    rows_quarantined: int
    rows_rejected: int
    reason: str | None
    warnings: list[str]
    changes: dict[str, int] | None
    supersedes_delivery_id: int | None
    landed_at: datetime
    audited_at: datetime | None
    published_at: datetime | None
    built_in: int | None
    docs_page: str | None
    dag_id: str | None
    run_id: str | None


@dataclass(frozen=True)
class RuleCount:
    """How many rows of a delivery broke a rule."""

    column_name: str | None
    reason: str
    row_count: int


@dataclass(frozen=True)
class RunProducts:
    """What an Airflow run `made`: builds, deliveries or a release. `build_ids` and `delivery_ids` are the
    run's own if it made them, otherwise those connected with what it made."""

    dag_id: str
    run_id: str
    build_ids: list[int]
    delivery_ids: list[int]
    made: Literal["builds", "deliveries", "release", "nothing"]


_BUILDS = """
    select
        build.build_id,
        build.status,
        build.is_full_refresh,
        build.started_at,
        build.finished_at,
        extract(
            epoch from coalesce(build.finished_at, clock_timestamp()) - build.started_at
        )::double precision as seconds,
        build.reason,
        build.missing,
        build.resumed_build_id,
        build.failed_by,
        (select count(*) from ops.build_delivery where build_id = build.build_id) as delivery_count,
        (
            select count(distinct business_date) from ops.build_date
            where build_id = build.build_id and feed = any (%(facts)s)
        ) as date_count,
        nodes.node_count,
        nodes.bad_count,
        run.dag_id,
        run.run_id
    from ops.build
    cross join lateral (
        select
            count(*) as node_count,
            count(*) filter (where status = any (%(failed)s)) as bad_count
        from ops.build_node
        where build_id = build.build_id
    ) as nodes
    left join lateral (
        select dag_id, run_id from ops.airflow_run where build_id = build.build_id order by at desc limit 1
    ) as run on true
"""
_KINDS = {"facts": list(FACTS), "failed": list(FAILED_STATUSES)}


def builds(connection: Connection[Any], count: int) -> list[BuildRow]:
    """The last builds, newest first."""
    with connection.cursor(row_factory=class_row(BuildRow)) as cursor:
        query = f"{_BUILDS} order by build_id desc limit %(count)s"
        return cursor.execute(query.encode(), {**_KINDS, "count": count}).fetchall()


def build(connection: Connection[Any], build_id: int) -> BuildRow | None:
    """The build with this id."""
    with connection.cursor(row_factory=class_row(BuildRow)) as cursor:
        query = f"{_BUILDS} where build.build_id = %(build_id)s"
        return cursor.execute(query.encode(), {**_KINDS, "build_id": build_id}).fetchone()


def deliveries(
    connection: Connection[Any],
    *,
    feed: str | None = None,
    business_date: date | None = None,
    delivery_ids: list[int] | None = None,
) -> list[DeliveryRow]:
    """Deliveries, newest first: all, or those of a feed, a date, these ids; at most DELIVERIES_SHOWN."""
    columns = ", ".join(field.name for field in fields(DeliveryRow))
    with connection.cursor(row_factory=class_row(DeliveryRow)) as cursor:
        return cursor.execute(
            f"""
            select {columns}
            from ops.delivery
            left join lateral (
                select dag_id, run_id
                from ops.airflow_run
                where delivery_id = delivery.delivery_id
                order by at
                limit 1
            ) as run on true
            where (%(feed)s::text is null or feed = %(feed)s)
                and (%(date)s::date is null or business_date = %(date)s)
                and (%(ids)s::bigint[] is null or delivery_id = any (%(ids)s))
            order by delivery_id desc
            limit %(limit)s
            """.encode(),
            {"feed": feed, "date": business_date, "ids": delivery_ids, "limit": DELIVERIES_SHOWN},
        ).fetchall()


def rule_counts(connection: Connection[Any], delivery_id: int) -> list[RuleCount]:
    """How many rows of a delivery broke which rule, most frequent first."""
    with connection.cursor(row_factory=class_row(RuleCount)) as cursor:
        return cursor.execute(
            "select column_name, reason, count(*) as row_count from ops.quarantine where delivery_id = %s "
            "group by column_name, reason order by row_count desc, reason",
            [delivery_id],
        ).fetchall()


def products(connection: Connection[Any], dag_id: str, run_id: str) -> RunProducts:
    """What an Airflow run made. Deliveries lead to the builds that first contained them, a build to the
    deliveries that were new in it, a release to its build and its inputs."""
    given = [dag_id, run_id]
    own = "select {0} from ops.airflow_run where dag_id = %s and run_id = %s and {0} is not null order by 1"
    build_ids = _ids(connection, own.format("build_id"), given)
    delivery_ids = _ids(connection, own.format("delivery_id"), given)
    if build_ids:
        seen = "select delivery_id from ops.build_delivery where build_id = any (%s) order by 1"
        return RunProducts(dag_id, run_id, build_ids, _ids(connection, seen, [build_ids]), "builds")
    if delivery_ids:
        took = (
            "select distinct built_in from ops.delivery where delivery_id = any (%s) and built_in is not null"
        )
        return RunProducts(dag_id, run_id, _ids(connection, took, [delivery_ids]), delivery_ids, "deliveries")
    release = connection.execute(
        "select build_id, delivery_ids from ops.routing_release where dag_id = %s and run_id = %s "
        "order by release_id desc limit 1",
        given,
    ).fetchone()
    if release:
        build_id, inputs = release
        return RunProducts(
            dag_id, run_id, [build_id] if build_id else [], [int(each) for each in inputs.values()], "release"
        )
    return RunProducts(dag_id, run_id, [], [], "nothing")


def _ids(connection: Connection[Any], query: str, values: list[Any]) -> list[int]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()
