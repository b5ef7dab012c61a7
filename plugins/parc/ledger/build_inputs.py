"""What a build reads from the ledger: the deliveries that are new to it, and the dates that they change."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, LiteralString

from psycopg import Connection, sql
from psycopg.rows import class_row, scalar_row

from parc.ledger.builds import Build
from parc.ledger.deliveries import IS_NOT_BUILT

IS_KEPT = "status = 'published' and expired_at is null"
IS_WITHDRAWN_AND_BUILT = "status = 'withdrawn' and published_at is not null and withdrawn_in is null"


@dataclass(frozen=True)
class ChangedDelivery:
    """A delivery that changes the marts: published and not built yet, or withdrawn and still built."""

    delivery_id: int
    feed: str
    business_date: date


@dataclass(frozen=True, order=True)
class Origin:
    """A published delivery that a row may come from; `file` and `line` locate the row, if known."""

    feed: str
    business_date: date
    delivery_id: int
    file: str | None = None
    line: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The form stored in `ops.build_node`."""
        return asdict(self) | {"business_date": str(self.business_date)}


def not_built(connection: Connection[Any]) -> list[ChangedDelivery]:
    """Published deliveries that no published build contains yet."""
    return _changed_deliveries(connection, IS_NOT_BUILT)


def withdrawn(connection: Connection[Any]) -> list[ChangedDelivery]:
    """Withdrawn deliveries that the marts may still hold."""
    return _changed_deliveries(connection, IS_WITHDRAWN_AND_BUILT)


def kept_dates(connection: Connection[Any], feed: str) -> list[date]:
    """The published dates of a feed whose raw rows are still stored, in order."""
    return _dates(
        connection,
        f"select business_date from ops.delivery where feed = %s and {IS_KEPT} order by business_date",
        [feed],
    )


def expired_dates(connection: Connection[Any], feeds: Sequence[str]) -> list[date]:
    """The dates past retention of these feeds."""
    return _dates(
        connection,
        "select business_date from ops.delivery where feed = any (%s) and expired_at is not null",
        [list(feeds)],
    )


def has_expired_dates(connection: Connection[Any]) -> bool:
    """Whether the marts hold dates whose raw rows retention has dropped."""
    row = connection.execute(
        "select exists (select from ops.delivery where expired_at is not null)"
    ).fetchone()
    return bool(row and row[0])


def dates_governed(
    connection: Connection[Any], fact: str, reference: str, snapshots: Collection[date]
) -> dict[date, list[date]]:
    """Dates of a fact feed on which each of these snapshots of a reference feed is in force, by snapshot.

    A snapshot is in force from its date to the next one; the earliest also for all dates before it. A
    withdrawn one counts as if it were still published.
    """
    rows = connection.execute(
        f"""
        with snapshots as (
            select
                business_date,
                lag(business_date) over (order by business_date) as previous_date,
                lead(business_date) over (order by business_date) as next_date
            from (
                select business_date from ops.delivery where feed = %(reference)s and status = 'published'
                union
                select unnest(%(snapshots)s::date[])
            ) as dates
        ),

        facts as (
            select business_date from ops.delivery where feed = %(fact)s and {IS_KEPT}
        )

        select snapshots.business_date, array_agg(facts.business_date)
        from facts
        inner join snapshots
            on (facts.business_date >= snapshots.business_date or snapshots.previous_date is null)
            and (facts.business_date < snapshots.next_date or snapshots.next_date is null)
        where snapshots.business_date = any (%(snapshots)s)
        group by 1
        """.encode(),
        {"fact": fact, "reference": reference, "snapshots": list(snapshots)},
    )
    return dict(rows.fetchall())


def dates_of_lines(connection: Connection[Any]) -> list[date]:
    """Dates of calls in the months of which other lines are known now than `int_active_lines_monthly` holds,
    up to the next month with lines, before or now: months without lines of their own use the last known
    ones."""
    return _dates(
        connection,
        f"""
        with snapshots as (
            select month, min(business_date) as first_snapshot_date, max(business_date) as snapshot_date
            from raw.active_lines
            group by month
        ),

        now as (
            select month, first_snapshot_date, department_code, market, lines
            from snapshots
            inner join raw.active_lines using (month)
            where business_date = snapshot_date
        ),

        before as (
            select month_date, first_snapshot_date, department_code, market, line_count
            from intermediate.int_active_lines_monthly
        ),

        changed as (
            (table now except table before)
            union
            (table before except table now)
        ),

        spans as (
            select month, lead(month, 1, 'infinity') over (order by month) as next_month
            from (select month from now group by month) as months
            union
            select month_date, next_month_date from intermediate.int_active_lines_monthly
        )

        select business_date
        from ops.delivery
        where
            feed = 'calls' and {IS_KEPT}
            and exists (
                select
                from spans
                where
                    month in (select changed.month from changed)
                    and delivery.business_date >= month
                    and delivery.business_date < next_month
            )
        """,
        None,
    )


def has_lines_that_came_during(connection: Connection[Any], build: Build, dates: Collection[date]) -> bool:
    """Whether a snapshot of `active_lines` of these dates came before the build ended and is in no build:
    dbt may have read it."""
    row = connection.execute(
        "select exists (select from ops.delivery where feed = 'active_lines' and business_date = any (%s) "
        "and built_in is null and published_at <= %s)",
        [list(dates), build.finished_at],
    ).fetchone()
    return bool(row and row[0])


def dates_seen(connection: Connection[Any]) -> set[tuple[str, date]]:
    """The feeds and dates of which a published build has held a delivery."""
    rows = connection.execute(
        "select distinct feed, business_date from ops.delivery where built_in is not null"
    )
    return set(rows.fetchall())


def dates_taken(connection: Connection[Any]) -> set[tuple[str, date, date]]:
    """The dates that lose contacts to an earlier one: their feed, they, and the earlier date."""
    rows = connection.execute(
        """
        select 'calls', business_date, kept_business_date from intermediate.int_call_cross_date_duplicates
        union
        select 'boutique_visits', business_date, kept_business_date
        from intermediate.int_boutique_visit_cross_date_duplicates
        """
    )
    return set(rows.fetchall())


def origins_of_key(
    connection: Connection[Any],
    feed: str,
    column: str,
    value: object,
    business_date: date | None,
    most: int,
) -> list[Origin]:
    """Where a feed has raw rows with this key, on one date or on all; the newest first."""
    query = sql.SQL(
        "select stored.business_date, delivery_id, files -> (file_number - 1) ->> 'name', line_number "
        "from {table} as stored inner join ops.delivery as delivery "
        "on delivery.feed = %(feed)s and delivery.business_date = stored.business_date "
        "and status = 'published' where stored.{key} = %(value)s "
        "and (%(date)s::date is null or stored.business_date = %(date)s) "
        "order by 1 desc, file_number, line_number limit %(most)s"
    ).format(table=sql.Identifier("raw", feed), key=sql.Identifier(column))
    given = {"feed": feed, "value": value, "date": business_date, "most": most}
    return [Origin(feed, *found) for found in connection.execute(query, given)]


def published_on(
    connection: Connection[Any], feeds: Collection[str], dates: Collection[date], most: int
) -> list[Origin]:
    """The published deliveries of these feeds and dates, the newest first."""
    return _origins(connection, feeds, "business_date = any (%s::date[])", [list(dates)], most)


def published_since_build(connection: Connection[Any], feeds: Collection[str], most: int) -> list[Origin]:
    """The published deliveries of these feeds that no published build contains, the newest first."""
    return _origins(connection, feeds, "built_in is null", [], most)


def digest(connection: Connection[Any]) -> list[str | None]:
    """A digest that changes with the deliveries, the failed searches for deliveries, and the schema."""
    row = connection.execute(
        """
        select
            (select sum(hashtextextended(delivery::text, 0)::numeric) from ops.delivery)::text,
            (select sum(hashtextextended(feed || business_date, 0)::numeric) from ops.looked_for)::text,
            (select array_agg(name order by name) from ops.schema_version)::text
        """
    ).fetchone()
    assert row
    return list(row)


def _origins(
    connection: Connection[Any],
    feeds: Collection[str],
    condition: LiteralString,
    values: Sequence[Any],
    most: int,
) -> list[Origin]:
    query = (
        "select feed, business_date, delivery_id, "
        "case jsonb_array_length(files) when 1 then files -> 0 ->> 'name' end "
        f"from ops.delivery where feed = any (%s) and status = 'published' and {condition} "
        "order by delivery_id desc limit %s"
    )
    return [Origin(*found) for found in connection.execute(query, [list(feeds), *values, most])]


def _changed_deliveries(connection: Connection[Any], condition: str) -> list[ChangedDelivery]:
    with connection.cursor(row_factory=class_row(ChangedDelivery)) as cursor:
        return cursor.execute(
            f"select delivery_id, feed, business_date from ops.delivery where {condition}".encode()
        ).fetchall()


def _dates(connection: Connection[Any], query: str, values: Any) -> list[date]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()
