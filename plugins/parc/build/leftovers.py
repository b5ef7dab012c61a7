"""Drops what builds leave in the warehouse: tables of killed runs, and of models no longer in the project."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from parc.ledger import builds, locks
from parc.settings import Settings
from parc.warehouse import connect
from parc.warehouse.maintenance import MaintenanceResult

REMEMBERED_BUILDS = 10
"""A relation made by one of this many last builds is kept, whatever the project on this machine contains."""

_FOUND = """
select
    schemas.nspname, relation.relname, relation.relkind = 'v', pg_total_relation_size(relation.oid),
    relation.relname ~ '__dbt_(tmp|backup)' as is_unfinished
from pg_class as relation
inner join pg_namespace as schemas on schemas.oid = relation.relnamespace
where relation.relkind in ('r', 'v') and schemas.nspname = any (%(schemas)s)
    and (
        relation.relname ~ '__dbt_(tmp|backup)'
        or relation.relname <> all (%(named)s)
    )
order by relation.relkind desc, schemas.nspname, relation.relname
"""


def clear(settings: Settings, *, dry_run: bool = False) -> list[MaintenanceResult]:
    """Drop unfinished tables of killed builds, and relations that match no model or seed of the project.

    Nothing that BI reads is dropped: a mart without a model is reported, for a person to drop. Relations that
    others depend on are kept, and nothing at all is dropped unless the last build was published.

    Raises Busy if a build is running.
    """
    project = settings.project / "dbt_project"
    models = [path.stem for path in (project / "models").rglob("*.sql")]
    seeds = [path.stem for path in (project / "seeds").rglob("*.csv")]
    results = []
    busy = "a build is running"
    with (
        connect(settings, "transformer", autocommit=True) as connection,
        locks.held(connection, locks.READING, busy),
    ):
        if not builds.is_last_published(connection):
            return []
        named = [*models, *seeds, *builds.nodes_of_last_builds(connection, REMEMBERED_BUILDS)]
        schemas = ["staging", "intermediate", "build", "reference"]
        for schema, name, is_view, size, is_unfinished in connection.execute(
            _FOUND, {"named": named, "schemas": schemas}
        ).fetchall():
            kind = "left by a killed build" if is_unfinished else "of no model or seed"
            what = f"{schema}.{name}: dropped, {kind}"
            if not dry_run and not _drop(connection, schema, name, "view" if is_view else "table"):
                what, size = f"{schema}.{name}: {kind}, kept because something depends on it", 0
            results.append(MaintenanceResult(what, 1, size))
        named = [*models, "published_build", "mart_restatements"]
        for schema, name, is_view, *_ in connection.execute(
            _FOUND, {"named": named, "schemas": ["marts"]}
        ).fetchall():
            if not is_view:  # views there belong to BI
                what = f"{schema}.{name}: of no model, kept for BI; drop it by hand once nobody reads it"
                results.append(MaintenanceResult(what, 1))
    return results


def _drop(connection: psycopg.Connection[Any], schema: str, name: str, kind: str) -> bool:
    """Drop a relation; returns False if something depends on it."""
    command = sql.SQL("drop {} if exists {}").format(sql.SQL(kind), sql.Identifier(schema, name))
    try:
        connection.execute(command)
    except psycopg.errors.DependentObjectsStillExist:
        return False
    return True
