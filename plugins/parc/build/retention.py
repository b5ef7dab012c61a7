"""Retention of person keys in facts and in the intermediate tables behind them.

A model whose rows have person keys declares in its meta

- `person_keys`: the columns that distinguish one person's rows from another's;
- `retention_days`: how many business dates rows keep them, counted back from the newest date of the first of
  `retention_feeds`, as for raw retention; 0 if rows are deleted when their build is published;
- `retention_reason`: why that long;
- `retention_feeds`: the feeds whose raw rows of a date must have been dropped first (unless `retention_days`
  is 0).

After that, every pseudonym is replaced by a random surrogate, and so is the identity derived from it (ADR
15). Rows, sums and nulls do not change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg import sql

from parc.ledger import builds, deliveries, locks, retention, write_retention
from parc.ledger.people import identity_of
from parc.pseudonyms import SURROGATES
from parc.settings import Settings
from parc.warehouse import connect
from parc.warehouse.maintenance import MaintenanceResult

JOBS = "int_intervention_jobs"
"""The table with one row per job that decides which jobs are past retention. All jobs of a line go together,
because what a job says about its line depends on the others; jobs without a line go one by one."""

SURROGATE = sql.SQL(
    "(encode(substring(uuid_send(gen_random_uuid()) from 1 for 10), 'hex') || '000000000000')::uuid"
)
"""A different surrogate in each row (`parc.pseudonyms.surrogate`)."""

IDENTITY = "identity_key"
"""The person key derived from the others, or from the row itself if they are null."""


@dataclass(frozen=True)
class KeyRetention:
    """A model's declaration, in its meta, of person keys and of how long rows keep them."""

    model: str
    schemas: tuple[str, ...]
    person_keys: tuple[str, ...]
    days: int
    reason: str
    feeds: tuple[str, ...]

    @property
    def pseudonyms(self) -> list[str]:
        """The person keys that are pseudonyms."""
        return [key for key in self.person_keys if key != IDENTITY]

    @property
    def tables(self) -> list[sql.Identifier]:
        """The tables that hold the model's rows."""
        return [sql.Identifier(schema, self.model) for schema in self.schemas]


def declared(project: Path) -> list[KeyRetention]:
    """The declarations of a dbt project's models, ordered by name."""
    models = project / "models"
    found = []
    for path in sorted(models.rglob("*.yml")):
        room = path.relative_to(models).parts[0]
        for model in yaml.load(path.read_text(), yaml.CSafeLoader).get("models", []):
            meta = model.get("config", {}).get("meta", {})
            if "person_keys" in meta:
                found.append(
                    KeyRetention(
                        model["name"],
                        ("build", "marts") if room == "marts" else (room,),
                        tuple(meta["person_keys"]),
                        meta["retention_days"],
                        meta["retention_reason"],
                        tuple(meta.get("retention_feeds", ())),
                    )
                )
    return sorted(found, key=lambda kept: kept.model)


def unlink(settings: Settings, *, dry_run: bool = False) -> list[MaintenanceResult]:
    """Replace person keys by surrogates in rows past retention, one date per transaction.

    The next run resumes a killed one. A date whose raw rows still exist waits, and so do all dates
    while the last build is not published. Raises Busy if a build is running.
    """
    results = []
    kept = [each for each in declared(settings.project / "dbt_project") if each.days]
    with connect(settings, "transformer", autocommit=True) as connection:
        for feed in dict.fromkeys(each.feeds[0] for each in kept):
            models = [each for each in kept if each.feeds[0] == feed]
            dates = _due(connection, models)
            count = len(dates) if dry_run else sum(_unlink(connection, models, *each) for each in dates)
            results.append(MaintenanceResult(f"{feed}: dates whose facts lost their person keys", count))
    return [result for result in results if result.count]


def _due(connection: psycopg.Connection[Any], models: Sequence[KeyRetention]) -> list[tuple[date, date]]:
    """The dates of the models' first feed that are past retention and have person keys, in order, each with
    the previous date. The first has none, because it includes what earlier runs could not reach."""
    feed, days = models[0].feeds[0], max(each.days for each in models)
    newest = retention.counted_from(connection, feed, days).newest
    if newest is None or not builds.is_last_published(connection):
        return []
    limits = [newest - timedelta(days=days)]
    for name in {name for each in models for name in each.feeds}:
        expired = deliveries.newest_expired_date(connection, name)
        if expired is None and deliveries.published_before(connection, name, date.max) is None:
            continue  # the feed has never been published
        limits.append(expired or date.min)
    dates = retention.expired_up_to(connection, feed, min(limits))
    due = [(business_date, before or date.min) for business_date, before, is_done in dates if not is_done]
    return [(business_date, before if n else date.min) for n, (business_date, before) in enumerate(due)]


def _unlink(
    connection: psycopg.Connection[Any], models: Sequence[KeyRetention], business_date: date, before: date
) -> int:
    """Process one date; returns 1, or 0 if an unpublished build came in between."""
    with connection.transaction():
        locks.keep_builds_out(connection)
        if not builds.is_last_published(connection):
            return 0
        if any(each.model == JOBS for each in models):
            _unlink_jobs(connection, models, business_date, before)
        else:
            for model in models:
                _unlink_rows(connection, model, business_date)
        write_retention.unlink(connection, models[0].feeds[0], business_date)
    return 1


def _unlink_rows(connection: psycopg.Connection[Any], model: KeyRetention, business_date: date) -> None:
    """Give each row of the date its own surrogates."""
    new = [
        sql.SQL("case when {key} is not null then {surrogate} end as {key}").format(
            key=sql.Identifier(key), surrogate=SURROGATE
        )
        for key in model.pseudonyms
    ]
    for table in model.tables:
        connection.execute(
            sql.SQL(
                "update {table} as held set {keys} from ("
                "select ctid as place, {new} from {table} where business_date = {business_date}"
                ") as fresh where held.ctid = fresh.place"
            ).format(
                table=table,
                keys=_assignments({key: sql.Identifier("fresh", key) for key in model.pseudonyms}),
                new=sql.SQL(", ").join(new),
                business_date=business_date,
            )
        )


def _unlink_jobs(
    connection: psycopg.Connection[Any], models: Sequence[KeyRetention], business_date: date, before: date
) -> None:
    """Replace lines, and the customers on them, whose newest job is of the date, or of one after the date
    `before`. Surrogates are the same in all tables, so that a recomputed job still finds its line's others.
    """
    jobs = next(each for each in models if each.model == JOBS)
    last_date = sql.SQL("greatest({job}.business_date, {job}.closed_date)")
    is_linked = [
        sql.SQL("not ({})").format(sql.SQL(SURROGATES).format(sql.Identifier("job", key)))
        for key in jobs.pseudonyms
    ]
    connection.execute(
        sql.SQL(
            "create temporary table removed_jobs on commit drop as "
            "with last as (select job_id, line_key from {jobs} as job where {of_job} > {before} "
            "and {of_job} <= {business_date} and ({is_linked}) and not exists (select from {jobs} as other "
            "where other.line_key = job.line_key and {of_other} > {business_date})) "
            "select job_id from last "
            "union select other.job_id from {jobs} as other inner join last using (line_key)"
        ).format(
            jobs=jobs.tables[0],
            of_job=last_date.format(job=sql.Identifier("job")),
            of_other=last_date.format(job=sql.Identifier("other")),
            before=sql.Literal(before),
            business_date=sql.Literal(business_date),
            is_linked=sql.SQL(" or ").join(is_linked),
        )
    )
    of_jobs = sql.SQL("job_id in (select job_id from removed_jobs)")
    pseudonyms = [
        sql.SQL("select {key} as pseudonym from {table} where {of_jobs} and {key} is not null").format(
            key=sql.Identifier(key), table=table, of_jobs=of_jobs
        )
        for model in models
        for table in model.tables
        for key in model.pseudonyms
    ]
    connection.execute(
        sql.SQL(
            "create temporary table fresh on commit drop as "
            "select pseudonym, {surrogate} as surrogate from ({pseudonyms}) as held"
        ).format(surrogate=SURROGATE, pseudonyms=sql.SQL(" union ").join(pseudonyms))
    )
    connection.execute("create unique index on fresh (pseudonym)")
    for model in models:
        keys = _assignments(
            {
                key: sql.SQL("(select surrogate from fresh where pseudonym = {})").format(sql.Identifier(key))
                for key in model.pseudonyms
            }
        )
        for table in model.tables:
            connection.execute(
                sql.SQL("update {table} as held set {keys} where {of_jobs}").format(
                    table=table, keys=keys, of_jobs=of_jobs
                )
            )


def _assignments(new: Mapping[str, sql.Composable]) -> sql.Composed:
    """Assignments of the pseudonyms, and of the identity derived from the customer, or else the caller."""
    whose = [new[key] for key in ("customer_key", "caller_key") if key in new]
    identity = sql.SQL("coalesce({}, held.{})").format(
        identity_of(sql.SQL("coalesce({})").format(sql.SQL(", ").join(whose))), sql.Identifier(IDENTITY)
    )
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(key), value)
        for key, value in {**new, IDENTITY: identity}.items()
    )
