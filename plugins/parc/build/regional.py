"""The marts as a directorate's login sees them: views of the same names in the schema `regional`.

They run with their owner's rights and filter by login, after the marts have been aggregated. Cells of fewer
than five persons are null, and so is any cell from which a difference would reveal one (ADR 14). Each mart
declares in its meta who may see what:

- `scope: open`: everything; `closed`: nothing.
- `scope: directorate`: the directorate's rows; `site`: those of its sites and of partners; `region`: those of
  the regions in which it has a department.
- `scope: area`: rows of the nation, and monthly rows of the directorate and its regions.
- `sums_of`: the daily mart that it aggregates; a month that would reveal a cell by a difference is null.
- `persons_of`: the daily mart, and those of its columns of which one cell must have enough persons.
- `persons`: columns that count each person of a cell once; not in any view. `counts`: columns that stand for
  persons if these are unknown (lines, legs). `withheld`: columns of counts that are null.

What they read of a relation of rates they read as views of one grain too (`grains`), cut from the same query.

A sum of cells has at least as many persons as its largest cell. It counts as having that many, because nobody
knows who is in two of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from parc.build import grains, views
from parc.ledger import builds, write_builds

BESIDES: dict[str, dict[str, Any]] = {"published_build": {"scope": "open"}}
"""Tables in `marts` that belong to no model but that a directorate may read."""

FEWEST_PERSONS = 5
MINE = sql.SQL("('bi_' || lower(directorate_code) = session_user) is true")
MY_REGIONS = sql.SQL("select region_code from marts.dim_department where {mine}").format(mine=MINE)
FIGURES = ("bigint", "integer", "smallint", "numeric", "double precision", "real")
PLACES = ("business_date", "directorate_code", "region_code")

ColumnTypes = Mapping[str, str]
"""The type of each column of a mart."""


def drop_changed(connection: psycopg.Connection[Any], wanted: Mapping[str, str]) -> None:
    """Drop the views that differ from `wanted` (`definitions`), before their marts change.

    Raises BuildFailed if a view of somebody else reads one.
    """
    for name, definition in builds.regional_views(connection).items():
        if wanted.get(name) != definition:
            views.drop(connection, "regional", name)
            write_builds.forget_regional_view(connection, name)


def create_missing(connection: psycopg.Connection[Any], wanted: Mapping[str, str]) -> None:
    """Create missing views, once all marts exist."""
    for name in wanted.keys() - builds.regional_views(connection).keys():
        view = sql.Identifier("regional", name)
        connection.execute(
            sql.SQL("create view {} with (security_barrier) as ").format(view) + sql.SQL(wanted[name])
        )
        text = sql.Literal(f"marts.{name}, as far as the reader's directorate may see it.")
        connection.execute(sql.SQL("comment on view {} is {}").format(view, text))
        write_builds.note_regional_view(connection, name, wanted[name])


def definitions(
    connection: psycopg.Connection[Any],
    metas: Mapping[str, Mapping[str, Any]],
    columns: Mapping[str, ColumnTypes],
) -> dict[str, str]:
    """The query of each view, from the metas and columns of the marts. A mart without a scope is closed."""
    queries = {
        name: _query(name, meta, metas, columns[name])
        for name, meta in metas.items()
        if meta.get("scope", "closed") != "closed"
    }
    queries |= grains.of_directorates(queries, metas, columns)
    return {name: query.as_string(connection) for name, query in queries.items()}


def _query(
    name: str, meta: Mapping[str, Any], metas: Mapping[str, Mapping[str, Any]], columns: ColumnTypes
) -> sql.Composed:
    scope = meta["scope"]
    mart = sql.Identifier("marts", name)
    rows: sql.Composable = sql.SQL("true")
    shown: sql.Composable = sql.SQL("not ({})").format(_is_small(meta))
    given: sql.Composable = sql.SQL("")
    whole: sql.Composable = sql.SQL("false")
    if scope == "directorate":
        rows = MINE
        given = sql.SQL("with hidden_date as ({}) ").format(_hidden_dates(name, meta))
        shown = sql.SQL("business_date not in (select business_date from hidden_date)")
    elif scope == "site":
        rows = sql.SQL(
            "site_code in (select site_code from marts.dim_site where directorate_code is null or {})"
        ).format(MINE)
    elif scope == "region":
        rows = sql.SQL("region_code in ({})").format(MY_REGIONS)
    elif scope == "area":
        whole = sql.SQL("area = 'nation'")
        rows = sql.SQL(
            "area = 'nation' or period = 'month' and (area = 'directorate' and 'bi_' || lower(area_code) = "
            "session_user or area = 'region' and area_code in ({}))"
        ).format(MY_REGIONS)
        if "sums_of" in meta:
            given = _cells_of_months(meta["sums_of"], metas[meta["sums_of"]])
            shown = sql.SQL("{} and period_start_date not in (select month_date from hidden_month)").format(
                shown
            )
        for daily, persons in meta.get("persons_of", {}).items():
            shown = sql.SQL("{} and {}").format(shown, _are_many(name, daily, metas[daily], persons))
    keys = {*meta.get("key", []), "day_count", "weekday"}
    selected = [
        _selected(
            column,
            kind,
            is_withheld=column in meta.get("withheld", []),
            is_figure=scope != "open" and column not in keys and kind.partition("(")[0] in FIGURES,
            shown=shown,
            whole=whole,
        )
        for column, kind in columns.items()
        if column not in meta.get("persons", [])
    ]
    return sql.SQL("{given}select {columns} from {mart} where {rows}").format(
        given=given, columns=sql.SQL(", ").join(selected), mart=mart, rows=rows
    )


def _selected(
    column: str,
    kind: str,
    *,
    is_withheld: bool,
    is_figure: bool,
    shown: sql.Composable,
    whole: sql.Composable,
) -> sql.Composable:
    """The column; null if its row is not `shown` or the column is withheld, unless the row is `whole`."""
    if not (is_withheld or is_figure):
        return sql.Identifier(column)
    condition = whole if is_withheld else sql.SQL("{} or {}").format(whole, shown)
    return sql.SQL("(case when {condition} then {column} end)::{kind} as {column}").format(
        condition=condition,
        column=sql.Identifier(column),
        kind=sql.SQL(kind),
    )


def _is_small(meta: Mapping[str, Any]) -> sql.Composable:
    """Whether any count is at least one person but too few. An unknown number of persons may be one; unknown
    lines count as none."""
    cells = [
        sql.SQL("coalesce({}, {}) between 1 and {}").format(
            sql.Identifier(column), unknown, FEWEST_PERSONS - 1
        )
        for columns, unknown in ((meta.get("persons", []), 1), (meta.get("counts", []), 0))
        for column in columns
    ]
    return sql.SQL(" or ").join(cells) if cells else sql.SQL("false")


def _hidden_dates(name: str, meta: Mapping[str, Any]) -> sql.Composed:
    """The dates on which a cell of the directorate, or of the rest of the nation, is small. Each of their
    months hides one date more, preferably the first on which all cells are large, so that only a sum is
    revealed."""
    parts = _parts(meta)
    month = sql.SQL("date_trunc('month', business_date::timestamp)")
    return sql.SQL(
        "with small_date as (select business_date from marts.{mart} where {mine} and ({small}) union "
        "select business_date from (select business_date, {most} from marts.{mart} where not ({mine}) "
        "group by {by}) as others where {small}), other_date as (select business_date, "
        "min(least({persons})) >= {fewest} as are_all_large from marts.{mart} "
        "where {mine} and business_date not in (select business_date from small_date) "
        "and {month} in (select {month} from small_date) group by business_date) "
        "select business_date from small_date union (select distinct on ({month}) business_date "
        "from other_date order by {month}, are_all_large desc, business_date)"
    ).format(
        mart=sql.Identifier(name),
        mine=MINE,
        small=_is_small(meta),
        most=_most(meta),
        by=_names(["business_date", *parts]),
        persons=_names(meta["persons"]),
        fewest=FEWEST_PERSONS,
        month=month,
    )


def _are_many(view: str, daily: str, meta: Mapping[str, Any], persons: list[str]) -> sql.Composed:
    """Whether any cell of the daily mart that a row (of some period and area) aggregates has enough of all
    `persons`."""
    row = sql.Identifier("marts", view)
    parts = [
        sql.SQL("{row}.{part} in ('all', cell.{part})").format(row=row, part=sql.Identifier(part))
        for part in _parts(meta)
    ]
    return sql.SQL(
        "exists (select from marts.{daily} as cell "
        "where cell.business_date between {row}.period_start_date and {row}.period_end_date "
        "and {row}.area_code = case {row}.area when 'directorate' then cell.directorate_code "
        "else cell.region_code end and {conditions})"
    ).format(
        daily=sql.Identifier(daily),
        row=row,
        conditions=sql.SQL(" and ").join(
            [*parts, sql.SQL("least({}) >= {}").format(_names(persons), FEWEST_PERSONS)]
        ),
    )


def _cells_of_months(name: str, meta: Mapping[str, Any]) -> sql.Composed:
    """The months whose sum, minus the visible days and the nation's visible rows, would reveal a cell of few
    persons: the figures of the directorate, or of the others, on its hidden dates; those of others in each of
    its
    regions, and elsewhere."""
    parts = _parts(meta)
    is_hidden = "business_date in (select business_date from hidden_date)"
    cells = [(f"{is_hidden} and {{mine}}", _own_parts(meta)), (f"{is_hidden} and not ({{mine}})", parts)]
    if "region_code" in meta["key"]:
        cells.append(("not ({mine}) and region_code in ({regions})", ["region_code", *parts]))
        cells.append(("not ({mine}) and region_code not in ({regions})", parts))
    cells.append(("not ({mine})", parts))
    sums = [
        sql.SQL("select month_date, {most} from daily where " + where + " group by {by}").format(
            most=_most(meta), mine=MINE, regions=MY_REGIONS, by=_names(["month_date", *by])
        )
        for where, by in cells
    ]
    return sql.SQL(
        "with daily as (select *, date_trunc('month', business_date::timestamp)::date as month_date "
        "from marts.{mart}), hidden_date as ({hidden}), "
        "hidden_month as (select month_date from ({cells}) as cell where {small}) "
    ).format(
        mart=sql.Identifier(name),
        hidden=_hidden_dates(name, meta),
        cells=sql.SQL(" union all ").join(sums),
        small=_is_small(meta),
    )


def _parts(meta: Mapping[str, Any]) -> list[str]:
    return [column for column in meta["key"] if column not in PLACES]


def _own_parts(meta: Mapping[str, Any]) -> list[str]:
    return [column for column in meta["key"] if column not in ("business_date", "directorate_code")]


def _most(meta: Mapping[str, Any]) -> sql.Composed:
    """The largest cell of each sum."""
    columns = [*meta.get("persons", []), *meta.get("counts", [])]
    return sql.SQL(", ").join(
        sql.SQL("max({column}) as {column}").format(column=sql.Identifier(each)) for each in columns
    )


def _names(columns: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
