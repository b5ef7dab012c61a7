"""Publishes dbt's tested tables from `build` to `marts`, where BI reads them, in one transaction.

A mart's table in `marts` is created once and never dropped, so views and grants on it survive every build,
even a full refresh. Rows are deleted and inserted, so a reader sees a build completely or not at all, and
never waits. The project's views (`meta.publish: view`) read the tables in the same schema and are replaced
only if their text differs; so are the views of one grain on them (`grains`), and those that directorates read
(`regional`). The tables' keys are made once (`keys`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from parc.build import grains, keys, regional, views
from parc.build.changes import Cause
from parc.build.dbt import ManifestEntry
from parc.build.restatements import Restatements
from parc.errors import BuildFailed
from parc.ledger import build_inputs, builds, write_builds
from parc.warehouse import partitions
from parc.warehouse.maintenance import STATISTICS_TARGET


def publish(
    connection: psycopg.Connection[Any],
    project: Iterable[ManifestEntry],
    build_id: int,
    *,
    causes: Sequence[Cause] = (),
    is_redefined: bool = False,
) -> dict[str, int]:
    """Copy what the running build changed; it becomes visible when the caller commits.

    `meta.publish` of each model says how: `by_date` replaces the business dates that the build recomputed
    (`meta.feeds`, `meta.lookback_days`, `meta.lookahead_days`, `meta.own_date_feeds`; with `meta.marks`
    those on which a row came to differ), `by_period` the periods that these dates are in, `by_job` the jobs,
    `whole` the whole table if it differs. A full refresh replaces every table, except that a table built for
    changed dates only (`meta.holds: changed_dates`) leaves out dates past retention. `causes` and
    `is_redefined` say why published figures move: see `restatements`. Returns rows written per mart.

    Raises BuildFailed if a mart's published table cannot take the new shape.
    """
    build = builds.get(connection, build_id)
    assert build
    written = {}
    restated = Restatements(connection, build, causes, is_redefined=is_redefined or build.is_full_refresh)
    models = {
        each.name: each
        for each in sorted(project, key=lambda each: each.name)
        if each.kind == "model" and "publish" in each.meta
    }
    tables = {name: model.meta for name, model in models.items() if model.meta["publish"] != "view"}
    of_directorates = _of_directorates(connection, {name: model.meta for name, model in models.items()})
    regional.drop_changed(connection, of_directorates)
    keys.drop_changed(connection, tables)
    for name, meta in tables.items():
        _drop_former_view(connection, name)
        before = _columns(connection, "marts", name)
        columns = _take_shape(connection, name)
        rows: sql.Composable = sql.SQL("true")
        if before and not build.is_full_refresh:
            if meta["publish"] == "whole":
                rows = sql.SQL("false") if _is_same(connection, name, columns) else rows
            elif meta["publish"] == "by_job":
                rows = sql.SQL(builds.IS_CHANGED_JOB)
            else:
                rows = _changed_dates(connection, meta)
        elif meta.get("holds") == "changed_dates":
            rows = _dates_kept(connection, meta)
        if "restated_by" in meta and before and rows != sql.SQL("false"):
            built = _columns(connection, "build", name)
            restated.keep(name, meta, {column: built[column] for column in before if column in built}, rows)
        written[name] = _replace(connection, name, columns, rows)
    for name, model in models.items():
        if name not in tables:
            read = {unique_id.rsplit(".", 1)[-1] for unique_id in model.reads}
            _replace_view(connection, name, read - tables.keys())
    grains.publish(connection, {name: model.meta for name, model in models.items()})
    for name in tables:
        _drop_columns(connection, name)
    keys.create_missing(connection, tables)
    regional.create_missing(connection, of_directorates)
    write_builds.show_to_bi(connection, build_id)
    return written


def _of_directorates(connection: psycopg.Connection[Any], metas: dict[str, dict[str, Any]]) -> dict[str, str]:
    columns = {name: _columns(connection, "build", name) for name in metas}
    columns |= {name: _columns(connection, "marts", name) for name in regional.BESIDES}
    return regional.definitions(connection, metas | regional.BESIDES, columns)


def settle(connection: psycopg.Connection[Any], project: Iterable[ManifestEntry]) -> None:
    """After a publication, empty the tables that hold only what the build changed (`meta.holds`), and update
    the planner's statistics of what was published from them.

    A table that somebody is reading is skipped; the next build recreates it.
    """
    for model in project:
        if model.kind == "model" and model.meta.get("holds") == "changed_dates":
            schema = "build" if "publish" in model.meta else "intermediate"
            with suppress(psycopg.errors.LockNotAvailable), connection.transaction():
                connection.execute(f"set local lock_timeout = '{partitions.LOCK_PATIENCE}'".encode())
                connection.execute(sql.SQL("truncate {}").format(sql.Identifier(schema, model.name)))
            if "publish" in model.meta:
                with connection.transaction():
                    connection.execute(f"set local default_statistics_target = {STATISTICS_TARGET}".encode())
                    connection.execute(sql.SQL("analyze {}").format(sql.Identifier("marts", model.name)))


def _tables(name: str) -> dict[str, sql.Composable]:
    return {"built": sql.Identifier("build", name), "mart": sql.Identifier("marts", name)}


def _columns(connection: psycopg.Connection[Any], schema: str, name: str) -> dict[str, str]:
    rows = connection.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
        [f'{schema}."{name}"'],
    )
    return dict(rows.fetchall())


def _drop_former_view(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a mart that was a view until now; BI has read it up to this build, which makes its table."""
    row = connection.execute(
        "select relkind = 'v' from pg_class where oid = to_regclass(%s)", [f'marts."{name}"']
    ).fetchone()
    if row == (True,):
        views.drop(connection, "regional", name)
        write_builds.forget_regional_view(connection, name)
        views.drop(connection, "marts", name)


def _take_shape(connection: psycopg.Connection[Any], name: str) -> sql.Composable:
    """Create the mart's table like the built one, or add its new columns."""
    tables = _tables(name)
    built, mart = _columns(connection, "build", name), _columns(connection, "marts", name)
    if not mart:
        connection.execute(sql.SQL("create table {mart} (like {built} including all)").format(**tables))
        mart = built
    for column in mart.keys() - built.keys():
        loosen = sql.SQL("alter table {mart} alter column {column} drop not null")
        connection.execute(loosen.format(column=sql.Identifier(column), **tables))
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
    _copy_comments(connection, name, "table")
    return sql.SQL(", ").join(map(sql.Identifier, built))


def _drop_columns(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop columns that the model no longer has; done last, when none of our views reads them any more."""
    tables = _tables(name)
    for column in _columns(connection, "marts", name).keys() - _columns(connection, "build", name).keys():
        drop = sql.SQL("alter table {mart} drop column {column}")
        try:
            connection.execute(drop.format(column=sql.Identifier(column), **tables))
        except psycopg.errors.DependentObjectsStillExist as error:
            raise BuildFailed(
                f"marts.{name}: column {column} has left the model but is still used: "
                f"{error.diag.message_detail}; keep it in the model, or change what uses it first"
            ) from None


def _copy_comments(connection: psycopg.Connection[Any], name: str, kind: LiteralString) -> None:
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
            else sql.SQL(kind + " {}").format(sql.Identifier("marts", name))
        )
        connection.execute(sql.SQL("comment on {} is {}").format(target, sql.Literal(text)))


def _replace_view(connection: psycopg.Connection[Any], name: str, hidden: set[str]) -> None:
    """Make the view in `marts` the same query on the marts as the built view is on the tables in `build`."""
    if hidden:
        raise BuildFailed(
            f"marts.{name} is a view and reads {', '.join(sorted(hidden))}, which BI does not see: "
            "a published view may only read published tables"
        )
    given = connection.execute("select current_setting('search_path')").fetchone()
    assert given is not None
    texts: dict[str, str] = {}
    for schema in ("build", "marts"):
        # Tables in the search path are written without their schema, so the text is the same in both schemas.
        connection.execute("select set_config('search_path', %s, true)", [schema])
        row = connection.execute("select pg_get_viewdef(to_regclass(%s))", [name]).fetchone()
        assert row is not None
        texts[schema] = row[0]
    if texts["build"] != texts["marts"]:
        create = sql.SQL("create or replace view {} as {}").format(
            sql.Identifier(name), sql.SQL(texts["build"])
        )
        try:
            connection.execute(create)
        except psycopg.errors.InvalidTableDefinition as error:
            raise BuildFailed(
                f"marts.{name}: {error.diag.message_primary}; a definition that changes becomes a new "
                "column at the end of its view"
            ) from None
    connection.execute("select set_config('search_path', %s, true)", given)
    _copy_comments(connection, name, "view")


def _changed_dates(connection: psycopg.Connection[Any], meta: dict[str, Any]) -> sql.Composable:
    dates = builds.changed_dates(
        connection,
        [meta["marks"]] if "marks" in meta else meta["feeds"],
        lookback_days=meta.get("lookback_days", 0),
        lookahead_days=meta.get("lookahead_days", 0),
        own_date_subjects=meta.get("own_date_feeds", ()),
    )
    if not dates:
        return sql.SQL("false")
    if meta["publish"] == "by_period":
        is_changed = sql.SQL("changed_date between period_start_date and period_end_date")
        return sql.SQL("exists (select from unnest({}::date[]) as changed_date where {})").format(
            sql.Literal(dates), is_changed
        )
    return sql.SQL("business_date = any ({})").format(sql.Literal(dates))


def _dates_kept(connection: psycopg.Connection[Any], meta: dict[str, Any]) -> sql.Composable:
    dates = build_inputs.expired_dates(connection, meta["feeds"])
    return sql.SQL("business_date <> all ({})").format(sql.Literal(dates)) if dates else sql.SQL("true")


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
    """Replace the mart's rows that match the condition `rows` by those of the built table."""
    names = {"columns": columns, "rows": rows, **_tables(name)}
    connection.execute(sql.SQL("delete from {mart} where {rows}").format(**names))
    return connection.execute(
        sql.SQL("insert into {mart} ({columns}) select {columns} from {built} where {rows}").format(**names)
    ).rowcount
