"""Publication: from dbt's tested tables in `build` to what BI reads in `marts`, all in one transaction.

A mart's table in `marts` is made once and never dropped, so views and grants on it survive every build, a
full refresh included.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from parc.errors import BuildFailed


def publish(connection: psycopg.Connection[Any], manifest: dict[str, Any], build_id: int) -> dict[str, int]:
    """Copy what the running build changed; the caller's transaction makes it visible.

    Models say how in `meta.publish`: `by_date` replaces the business dates that the build recomputed
    (`meta.feeds`, `meta.lookback_days`, `meta.lookahead_days`, `meta.own_date_feeds`), `by_job` the jobs,
    `whole` the table where it differs. A full refresh replaces every table. Returns rows written per mart.

    Raises BuildFailed when a mart's published table cannot take the new shape.
    """
    row = connection.execute(
        "select is_full_refresh from ops.build where build_id = %s", [build_id]
    ).fetchone()
    assert row is not None
    is_full_refresh = bool(row[0])
    written = {}
    for name, meta in sorted(_published_models(manifest).items()):
        is_new = not _columns(connection, "marts", name)
        columns = _take_shape(connection, name)
        if is_new or is_full_refresh:
            written[name] = _replace(connection, name, columns, sql.SQL("true"))
        elif meta["publish"] == "whole":
            written[name] = (
                0
                if _is_same(connection, name, columns)
                else _replace(connection, name, columns, sql.SQL("true"))
            )
        elif meta["publish"] == "by_job":
            changed = sql.SQL("job_id in (select ops.changed_jobs())")
            written[name] = _replace(connection, name, columns, changed)
        else:
            written[name] = _replace(connection, name, columns, _changed_dates(connection, meta))
    connection.execute("delete from marts.published_build")
    connection.execute(
        "insert into marts.published_build (build_id, published_at, missing) "
        "select build_id, clock_timestamp(), missing from ops.build where build_id = %s",
        [build_id],
    )
    return written


def _published_models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    models = {}
    for node in manifest["nodes"].values():
        meta = node.get("config", {}).get("meta", {})
        if node["resource_type"] == "model" and "publish" in meta:
            models[node["name"]] = meta
    return models


def _tables(name: str) -> dict[str, sql.Composable]:
    return {"built": sql.Identifier("build", name), "mart": sql.Identifier("marts", name)}


def _columns(connection: psycopg.Connection[Any], schema: str, name: str) -> dict[str, str]:
    rows = connection.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
        [f'{schema}."{name}"'],
    )
    return dict(rows.fetchall())


def _take_shape(connection: psycopg.Connection[Any], name: str) -> sql.Composable:
    """Make the mart's table like the built one: new, or with the columns that came or went."""
    tables = _tables(name)
    built, mart = _columns(connection, "build", name), _columns(connection, "marts", name)
    if not mart:
        connection.execute(sql.SQL("create table {mart} (like {built} including all)").format(**tables))
        mart = built
    for column in mart.keys() - built.keys():
        drop = sql.SQL("alter table {mart} drop column {column}")
        try:
            connection.execute(drop.format(column=sql.Identifier(column), **tables))
        except psycopg.errors.DependentObjectsStillExist as error:
            raise BuildFailed(
                f"marts.{name}: column {column} has left the model but is still used: "
                f"{error.diag.message_detail}; keep it in the model, or change what uses it first"
            ) from None
    for column in built.keys() - mart.keys():
        kind = sql.SQL(built[column])  # as format_type words it
        add = sql.SQL("alter table {mart} add column {column} {kind}")
        connection.execute(add.format(column=sql.Identifier(column), kind=kind, **tables))
    for column in built.keys() & mart.keys():
        if built[column] != mart[column]:
            raise BuildFailed(
                f"marts.{name}: column {column} is {mart[column]} for BI and {built[column]} in the model; "
                "a definition that changes becomes a new column"
            )
    _copy_comments(connection, name)
    return sql.SQL(", ").join(map(sql.Identifier, built))


def _copy_comments(connection: psycopg.Connection[Any], name: str) -> None:
    rows = connection.execute(
        """
        select a.attname, coalesce(col_description(a.attrelid, a.attnum), '')
        from pg_attribute a
        inner join pg_attribute m on m.attrelid = to_regclass(%(mart)s) and m.attname = a.attname
        where a.attrelid = to_regclass(%(built)s) and a.attnum > 0 and not a.attisdropped
            and col_description(a.attrelid, a.attnum) is distinct from col_description(m.attrelid, m.attnum)
        union all
        select null, coalesce(obj_description(to_regclass(%(built)s), 'pg_class'), '')
        where obj_description(to_regclass(%(built)s), 'pg_class')
            is distinct from obj_description(to_regclass(%(mart)s), 'pg_class')
        """,
        {"built": f'build."{name}"', "mart": f'marts."{name}"'},
    ).fetchall()
    for column, text in rows:
        target = (
            sql.SQL("column {}").format(sql.Identifier("marts", name, column))
            if column
            else sql.SQL("table {}").format(sql.Identifier("marts", name))
        )
        connection.execute(sql.SQL("comment on {} is {}").format(target, sql.Literal(text)))


def _changed_dates(connection: psycopg.Connection[Any], meta: dict[str, Any]) -> sql.Composable:
    rows = connection.execute(
        "select ops.changed_dates(%s, %s, %s) union select ops.changed_dates(%s, 0)",
        [
            meta["feeds"],
            meta.get("lookback_days", 0),
            meta.get("lookahead_days", 0),
            meta.get("own_date_feeds", []),
        ],
    )
    dates = [row[0] for row in rows.fetchall()]
    return sql.SQL("business_date = any ({})").format(sql.Literal(dates)) if dates else sql.SQL("false")


def _is_same(connection: psycopg.Connection[Any], name: str, columns: sql.Composable) -> bool:
    same = connection.execute(
        sql.SQL(
            "select not exists ((select {columns} from {built} except all select {columns} from {mart}) "
            "union all (select {columns} from {mart} except all select {columns} from {built}))"
        ).format(columns=columns, **_tables(name))
    ).fetchone()
    return bool(same and same[0])


def _replace(
    connection: psycopg.Connection[Any], name: str, columns: sql.Composable, rows: sql.Composable
) -> int:
    """Take the built table's rows for those of the mart, as far as the condition `rows` holds."""
    names = {"columns": columns, "rows": rows, **_tables(name)}
    connection.execute(sql.SQL("delete from {mart} where {rows}").format(**names))
    return connection.execute(
        sql.SQL("insert into {mart} ({columns}) select {columns} from {built} where {rows}").format(**names)
    ).rowcount
