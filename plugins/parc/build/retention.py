"""Retention of person keys in what builds keep: facts, and the steps that lead to them.

A model whose rows have person keys says in its meta

- `person_keys`: the columns that tell one person's rows from another's;
- `retention_days`: how many business dates rows keep them, counted back from the newest date of the first of
  `retention_feeds` as raw retention counts; 0 where rows go when their build is published;
- `retention_reason`: why so long;
- `retention_feeds`: the feeds whose raw rows of a date must have gone before (unless `retention_days` is 0).

Past that, every key is replaced by a random one (ADR 15). Rows, sums and what is null stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg import sql

from parc.feeds import FEEDS
from parc.settings import Settings
from parc.warehouse import connect
from parc.warehouse.maintenance import Act, is_last_build_published, lock_out_builds, newest, newest_expired

JOBS = "int_intervention_jobs"
"""One row per job: from it is told which jobs are past retention. They go line by line, as what a job says of
its line depends on the line's others; those of no line each by itself."""

RANDOM_UUID: sql.Composable = sql.SQL("gen_random_uuid()")


@dataclass(frozen=True)
class Kept:
    """A model whose rows have person keys, and how long: the declaration of its meta."""

    model: str
    schemas: tuple[str, ...]
    person_keys: tuple[str, ...]
    days: int
    reason: str
    feeds: tuple[str, ...]

    @property
    def tables(self) -> list[sql.Identifier]:
        """Where its rows are."""
        return [sql.Identifier(schema, self.model) for schema in self.schemas]


def declared(project: Path) -> list[Kept]:
    """What the models of a dbt project declare, by name."""
    models = project / "models"
    found = []
    for path in sorted(models.rglob("*.yml")):
        room = path.relative_to(models).parts[0]
        for model in yaml.safe_load(path.read_text()).get("models", []):
            meta = model.get("config", {}).get("meta", {})
            if "person_keys" in meta:
                found.append(
                    Kept(
                        model["name"],
                        ("build", "marts") if room == "marts" else (room,),
                        tuple(meta["person_keys"]),
                        meta["retention_days"],
                        meta["retention_reason"],
                        tuple(meta.get("retention_feeds", ())),
                    )
                )
    return sorted(found, key=lambda kept: kept.model)


def unlink(settings: Settings, *, dry_run: bool = False) -> list[Act]:
    """Replace the person keys of rows past retention by random ones, a date in a transaction.

    Killed, the next run goes on with the date at which it was. A date whose raw rows are still there waits,
    and so do all while the last build is not published. Raises Busy when a build is at work.
    """
    acts = []
    kept = [each for each in declared(settings.project / "dbt_project") if each.days]
    with connect(settings, "transformer", autocommit=True) as connection:
        for feed in dict.fromkeys(each.feeds[0] for each in kept):
            models = [each for each in kept if each.feeds[0] == feed]
            dates = _due(connection, models)
            count = len(dates) if dry_run else sum(_unlink(connection, models, *each) for each in dates)
            acts.append(Act(f"{feed}: dates whose facts lost their person keys", count))
    return [act for act in acts if act.count]


def _due(connection: psycopg.Connection[Any], models: Sequence[Kept]) -> list[tuple[date, date]]:
    """The dates of the models' first feed that are past retention and have person keys, in order, each with
    the one before it."""
    feed, days = FEEDS[models[0].feeds[0]], max(each.days for each in models)
    counted_from, _ = newest(connection, feed, days)
    if counted_from is None or not is_last_build_published(connection):
        return []
    limits = [counted_from - timedelta(days=days)]
    for name in {name for each in models for name in each.feeds}:
        gone = newest_expired(connection, FEEDS[name])
        if gone is None and not _is_delivered(connection, name):
            continue
        limits.append(gone or date.min)
    rows = connection.execute(
        "select coalesce(lag(business_date) over (order by business_date), date '0001-01-01') as before, "
        "business_date, unlinked_at is not null as is_done from ops.delivery "
        "where feed = %s and status = 'published' and expired_at is not null and business_date <= %s "
        "order by business_date",
        [feed.name, min(limits)],
    )
    return [(business_date, before) for before, business_date, is_done in rows if not is_done]


def _is_delivered(connection: psycopg.Connection[Any], feed: str) -> bool:
    row = connection.execute(
        "select exists (select from ops.delivery where feed = %s and status = 'published')", [feed]
    ).fetchone()
    return bool(row and row[0])


def _unlink(
    connection: psycopg.Connection[Any], models: Sequence[Kept], business_date: date, before: date
) -> int:
    """Do one date; returns 1, or 0 where a build came in between that was not published."""
    with connection.transaction():
        lock_out_builds(connection)
        if not is_last_build_published(connection):
            return 0
        if any(each.model == JOBS for each in models):
            _unlink_jobs(connection, models, business_date, before)
        else:
            for model in models:
                _unlink_rows(connection, model, business_date)
        connection.execute(
            "update ops.delivery set unlinked_at = clock_timestamp() "
            "where feed = %s and business_date = %s and status = 'published'",
            [models[0].feeds[0], business_date],
        )
    return 1


def _unlink_rows(connection: psycopg.Connection[Any], model: Kept, business_date: date) -> None:
    """Give each row of the date keys of its own."""
    for table in model.tables:
        connection.execute(
            sql.SQL("update {table} set {keys} where business_date = {business_date}").format(
                table=table,
                keys=_assignments(model.person_keys, dict.fromkeys(model.person_keys, RANDOM_UUID)),
                business_date=business_date,
            )
        )


def _unlink_jobs(
    connection: psycopg.Connection[Any], models: Sequence[Kept], business_date: date, before: date
) -> None:
    """Give the lines, and the customers on them, whose newest job is of the date other keys, the same in all
    tables: a job that is recomputed for a change of its line finds the line's others."""
    jobs = next(each for each in models if each.model == JOBS).tables[0]
    last_date = sql.SQL("greatest({job}.business_date, {job}.closed_date)")
    connection.execute(
        sql.SQL(
            "create temporary table gone on commit drop as "
            "with last as (select job_id, line_key from {jobs} as job where {of_job} > {before} "
            "and {of_job} <= {business_date} and not exists (select from {jobs} as other "
            "where other.line_key = job.line_key and {of_other} > {business_date})) "
            "select job_id from last "
            "union select other.job_id from {jobs} as other inner join last using (line_key)"
        ).format(
            jobs=jobs,
            of_job=last_date.format(job=sql.Identifier("job")),
            of_other=last_date.format(job=sql.Identifier("other")),
            before=sql.Literal(before),
            business_date=sql.Literal(business_date),
        )
    )
    of_jobs = sql.SQL("job_id in (select job_id from gone)")
    keys = [
        sql.SQL("select {key}::text as known from {table} where {of_jobs}").format(
            key=sql.Identifier(key), table=table, of_jobs=of_jobs
        )
        for model in models
        for table in model.tables
        for key in model.person_keys
    ]
    connection.execute(
        sql.SQL(
            "create temporary table surrogate on commit drop as "
            "select known, gen_random_uuid() as random from ({keys}) as keys where known is not null"
        ).format(keys=sql.SQL(" union ").join(keys))
    )
    connection.execute("create unique index on surrogate (known)")
    for model in models:
        new = {
            key: sql.SQL("(select random from surrogate where known = {}::text)").format(sql.Identifier(key))
            for key in model.person_keys
        }
        for table in model.tables:
            connection.execute(
                sql.SQL("update {table} set {keys} where {of_jobs}").format(
                    table=table, keys=_assignments(model.person_keys, new), of_jobs=of_jobs
                )
            )


def _assignments(keys: Iterable[str], new: Mapping[str, sql.Composable]) -> sql.Composed:
    """Keys of persons are numbers, all others UUIDs; what is null stays so."""
    return sql.SQL(", ").join(
        sql.SQL("{key} = case when {key} is not null then {new} end").format(
            key=sql.Identifier(key),
            new=sql.SQL("hashtextextended({}::text, 0)").format(new[key])
            if key == "identity_key"
            else new[key],
        )
        for key in keys
    )
