"""Stretches the published marts of some days to a year of sums, to ask of a year what BI asks.

Rows of each mart are copied to earlier dates: a day has the rows of the nation's day. Facts are left alone.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from parc.settings import Settings
from parc.warehouse import connect

BY_DAYS: LiteralString = "{column} - {days}"
BY_MONTHS: LiteralString = "({column} - make_interval(months => {months}))::date"
DATES = {
    "business_date": BY_DAYS,
    "period_start_date": BY_DAYS,
    "period_end_date": BY_DAYS,
    "week_start_date": BY_DAYS,
    "month_start_date": BY_MONTHS,
}
"""The columns that a copy moves: weeks keep their Mondays, months their firsts."""


def stretch(settings: Settings, newest: date, held_days: int, to_days: int = 365) -> int:
    """Double what the marts hold, which is `held_days` days up to `newest`, until it is `to_days` days.
    Returns the rows written; a copy that would stand where a row is already is left out."""
    oldest, written = newest - timedelta(days=to_days), 0
    with connect(settings, "admin", autocommit=True) as connection:
        for name, columns in _marts(connection).items():
            days, months = -(-held_days // 7) * 7, -(-held_days // 30)
            while days < to_days and set(columns) & DATES.keys():
                written += _copy(connection, name, columns, days, months, oldest)
                days, months = 2 * days, 2 * months
            connection.execute(sql.SQL("analyze {}").format(sql.Identifier("marts", name)))
    return written


def _marts(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """The columns of each table that is no fact."""
    rows = connection.execute(
        "select relname, array_agg(attname::text order by attnum) from pg_class "
        "inner join pg_attribute on attrelid = pg_class.oid "
        "where relnamespace = 'marts'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped "
        "and relname not like 'fct%' group by 1 order by 1"
    )
    return dict(rows.fetchall())


def _copy(
    connection: psycopg.Connection[Any], name: str, columns: list[str], days: int, months: int, oldest: date
) -> int:
    moved = {
        column: sql.SQL(DATES[column]).format(
            column=sql.Identifier(column), days=sql.Literal(days), months=sql.Literal(months)
        )
        for column in columns
        if column in DATES
    }
    done = connection.execute(
        sql.SQL(
            "insert into marts.{mart} ({columns}) select {values} from marts.{mart} where {first} > {oldest} "
            "on conflict do nothing"
        ).format(
            mart=sql.Identifier(name),
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            values=sql.SQL(", ").join(moved.get(column, sql.Identifier(column)) for column in columns),
            first=next(iter(moved.values())),
            oldest=sql.Literal(oldest),
        )
    )
    return done.rowcount
