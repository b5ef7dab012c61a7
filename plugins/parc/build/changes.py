"""Finds what a build must recompute, from the ledger and the seeds and never from a clock."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import psycopg

from parc.build import seeds
from parc.build.seeds import Seed
from parc.feeds import FACTS, FEEDS
from parc.ledger import build_inputs, builds
from parc.ledger.build_inputs import ChangedDelivery
from parc.warehouse.schema import MIGRATIONS

# Subjects that only seeds govern: a change recomputes marts but no facts.
SEEDED = ("site_positions", "intervention_places")


class Cause(NamedTuple):
    """Why figures of a subject change on these dates: a delivery of it or of what governs it, or, without
    one, a seed. Without dates: on any."""

    subject: str
    delivery_id: int | None
    dates: frozenset[date] | None


@dataclass(frozen=True)
class Unbuilt:
    """What the marts do not contain yet. (dbt finds later dates that share a row with these.)

    `delivery_ids` are current deliveries that no build has read, `withdrawn_ids` withdrawn ones that the
    marts may still contain. `dates` maps a subject of `ops.build_date` to the dates to recompute;
    `request_dates` are those whose jobs are affected by a changed seed. `causes` say what changes which
    dates. `seeds` are all seeds; `are_seeds_changed` says whether any differs from the published build's, and
    `are_seeds_in_doubt` whether an unpublished build may have loaded others. `project_sha256` is the digest
    of what turns rows into marts; `is_project_changed` says whether it differs from the published build's.
    `has_expired_dates` says whether the marts hold dates whose raw rows retention has dropped.
    """

    delivery_ids: list[int]
    withdrawn_ids: list[int]
    dates: dict[str, list[date]]
    request_dates: list[date]
    causes: list[Cause]
    seeds: dict[str, Seed]
    are_seeds_changed: bool
    are_seeds_in_doubt: bool
    project_sha256: str
    is_project_changed: bool
    has_expired_dates: bool

    @property
    def is_empty(self) -> bool:
        """Whether the published marts are complete and the tables behind them contain nothing else."""
        return not (
            self.delivery_ids or self.withdrawn_ids or self.are_seeds_changed or self.are_seeds_in_doubt
        )

    @property
    def is_only_data_new(self) -> bool:
        """Whether seeds and project are those of the published build, so that its tables keep their shape."""
        return not (self.are_seeds_changed or self.are_seeds_in_doubt or self.is_project_changed)

    @property
    def selection(self) -> list[str]:
        """dbt's arguments to leave out what is as the published build left it."""
        if self.is_only_data_new:
            # Views stay as they are. What no source reaches is made of seeds alone.
            tables = [f"source:*+,config.materialized:{each}" for each in ("table", "incremental")]
            return ["--exclude-resource-type", "seed", "--select", *tables]
        is_seed_new = self.are_seeds_changed or self.are_seeds_in_doubt
        return [] if is_seed_new else ["--exclude-resource-type", "seed"]


def find(connection: psycopg.Connection[Any], project: Path, *, everything: bool = False) -> Unbuilt:
    """Compare the ledger and the dbt project with what published builds have read.

    With `everything`, all published dates count as changed (a full refresh). Dates past retention never do.

    Raises BuildFailed if a seed does not declare what it governs.
    """
    pending, withdrawn = build_inputs.not_built(connection), build_inputs.withdrawn(connection)
    now, project_sha256 = seeds.read(project / "seeds"), _digest(project)
    before = builds.seeds(connection)
    changed_seeds = [
        seed for name, seed in now.items() if name not in before or seed.sha256 != before[name].sha256
    ]
    arrived: dict[str, list[ChangedDelivery]] = {feed: [] for feed in FEEDS}
    for each in [*pending, *withdrawn]:
        arrived[each.feed].append(each)
    causes = [
        Cause(each.feed, each.delivery_id, frozenset([each.business_date])) for each in pending + withdrawn
    ]

    def governed(seed: Seed, known: Sequence[date]) -> set[date]:
        return seed.governed_dates(before[seed.name].content if seed.name in before else "", known)

    dates = builds.dates_left_unpublished(connection)
    request_dates: set[date] = set()
    for fact in FACTS:
        published = build_inputs.kept_dates(connection, fact)
        changed = dates.setdefault(fact, set())
        changed |= set(published) if everything else _dates_of_deliveries(arrived[fact])
        for reference in (feed.name for feed in FEEDS.values() if fact in feed.governs):
            if snapshots := _dates_of_deliveries(arrived[reference]):
                found = build_inputs.dates_governed(connection, fact, reference, snapshots)
                changed.update(*found.values())
                for each in arrived[reference]:
                    causes.append(Cause(fact, each.delivery_id, frozenset(found.get(each.business_date, ()))))
        known = _request_dates(connection) if fact == "interventions" and changed_seeds else published
        for seed in changed_seeds:
            if fact not in seed.subjects or not (reached := governed(seed, known)):
                continue
            # Jobs are recomputed one by one: a seed about them affects no delivery's date, and any figure's.
            is_of_jobs = fact == "interventions"
            (request_dates if is_of_jobs else changed).update(reached)
            causes.append(Cause(fact, None, None if is_of_jobs else frozenset(reached)))
    for subject in SEEDED:
        changed = dates.setdefault(subject, set())
        governing = [seed for seed in changed_seeds if subject in seed.subjects]
        known = _dates_counted(connection, subject) if governing else []
        for seed in governing:
            changed |= (reached := governed(seed, known))
            causes.append(Cause(subject, None, frozenset(reached)))
    of_lines = dates.setdefault("active_lines", set())
    is_project_changed = project_sha256 != builds.project_sha256(connection)
    last_build = builds.last_ended(connection)
    are_seeds_in_doubt = last_build is not None and last_build.status != "published"
    if snapshots := _dates_of_deliveries(arrived["active_lines"]):  # each repeats the months before it
        is_comparable = not (
            everything
            or is_project_changed
            or last_build is None
            or are_seeds_in_doubt
            or build_inputs.has_lines_that_came_during(connection, last_build, snapshots)
        )
        of_lines.update(
            build_inputs.dates_of_lines(connection)
            if is_comparable
            else build_inputs.kept_dates(connection, "calls")
        )
    return Unbuilt(
        [each.delivery_id for each in pending],
        [each.delivery_id for each in withdrawn],
        {subject: sorted(found) for subject, found in dates.items()},
        sorted(request_dates),
        causes,
        now,
        are_seeds_changed=bool(changed_seeds) or now.keys() != before.keys(),
        are_seeds_in_doubt=are_seeds_in_doubt,
        project_sha256=project_sha256,
        is_project_changed=is_project_changed,
        has_expired_dates=build_inputs.has_expired_dates(connection),
    )


def _dates_of_deliveries(deliveries: list[ChangedDelivery]) -> set[date]:
    return {each.business_date for each in deliveries}


def _digest(project: Path) -> str:
    """Digest of all that turns deliveries and seeds into marts: the project, dbt, the warehouse's schema."""
    digest = hashlib.sha256()
    for path in sorted(path for path in project.rglob("*") if path.is_file() and path.suffix != ".csv"):
        digest.update(f"{path.relative_to(project)}\n".encode() + path.read_bytes())
    programs = [f"{name} {version(name)}" for name in ("dbt-core", "dbt-postgres")]
    schema_files = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
    digest.update("\n".join([*programs, *schema_files]).encode())
    return digest.hexdigest()


def _dates_counted(connection: psycopg.Connection[Any], subject: str) -> list[date]:
    if subject == "site_positions":
        return build_inputs.kept_dates(connection, "calls")
    return _dates_of(connection, "intermediate.agg_interventions_daily", "business_date")


def _request_dates(connection: psycopg.Connection[Any]) -> list[date]:
    return _dates_of(connection, "build.fct_interventions", "requested_date")


def _dates_of(connection: psycopg.Connection[Any], table: LiteralString, column: LiteralString) -> list[date]:
    row = connection.execute("select to_regclass(%s) is not null", [table]).fetchone()
    if not (row and row[0]):
        return []
    return [row[0] for row in connection.execute(f"select distinct {column} from {table} order by 1")]
