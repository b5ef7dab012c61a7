"""Views of one grain: each has the rows of one period and one area of a rate relation
(`meta.grains`, ADR 30).

A rate relation holds days, weeks, months and more, of regions, directorates and the nation, so a sum over it
means nothing. A view of one grain can be summed, by a tool that knows of no filter too. Its name says what a
row is: `mart_service_quality_region_weekly` has all markets together, and
`mart_service_quality_region_market_weekly` has each apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from parc.build import views
from parc.ledger import builds, write_builds

PERIODS = {
    "day": ("daily", "date"),
    "week": ("weekly", "week"),
    "month": ("monthly", "month"),
    "year": ("yearly", "year"),
    "30_days": ("30_days", "30 days ending on a date"),
    "trailing_12_months": ("trailing_12_months", "12 months ending with a month"),
}
"""Each period of a rate relation: its word in a view's name, and in a sentence."""
NAMED_BY = {"region": "dim_region", "directorate": "dim_directorate"}
"""Each area that has a name, and the mart of the names."""
COMMENTS = {
    "business_date": "Business date.",
    "region_code": "INSEE code of the region in 2012, or `unknown`.",
    "region_name": "Name of the region.",
    "directorate_code": "Code of the directorate, or `unknown`.",
    "directorate_name": "Name of the directorate.",
    "go_live_date": "When the region and market went live (mart_parc_rollout); null if it has not.",
    "is_live": "Whether it was live on the date: not before go_live_date, and not after a withdrawal.",
    "days_since_go_live": "Days since go_live_date, 0 on that date, negative before; null if not live yet.",
}
"""Descriptions of the columns that the rate relation does not have under these names."""


ROLLOUT = {
    "go_live_date": "rollout.go_live_date",
    "is_live": "coalesce(rates.period_start_date >= rollout.go_live_date "
    "and rates.period_start_date < coalesce(rollout.withdrawn_on, 'infinity'), false)",
    "days_since_go_live": "rates.period_start_date - rollout.go_live_date",
}
"""What a view of dates, regions and markets has of the rollout, as known today: none of it is stored."""


@dataclass(frozen=True)
class Grain:
    """The view of one period and one area of `relation`: apart by the values of the column `by` or not, and
    always by those of `kept`."""

    relation: str
    period: str
    area: str
    by: str | None
    is_apart: bool
    kept: tuple[str, ...]

    @property
    def name(self) -> str:
        """The view's name."""
        parts = [self.relation.removesuffix("_rates"), self.area]
        if self.by and self.is_apart:
            parts.append(self.by)
        return "_".join([*parts, PERIODS[self.period][0]])

    @property
    def has_rollout(self) -> bool:
        """Whether a row is a date of a region and market, which have one rollout."""
        return (self.period, self.area, self.by, self.is_apart) == ("day", "region", "market", True)

    @property
    def row(self) -> str:
        """What a row is, in a sentence."""
        of = [
            *([self.area] if self.area in NAMED_BY else []),
            *([self.by] if self.by and self.is_apart else []),
            *self.kept,
        ]
        row = f"One row per {', '.join([*of, PERIODS[self.period][1]])}"
        return f"{row}; every {self.by} together" if self.by and not self.is_apart else row


def grains(relation: str, meta: Mapping[str, Any]) -> Iterator[Grain]:
    """The views of a rate relation, from the `grains` of its meta."""
    declared = meta.get("grains", {})
    by = declared.get("by")
    mixed = ("period", "period_start_date", "area", "area_code", by)
    kept = tuple(column for column in meta["key"] if column not in mixed) if declared else ()
    for area, is_apart, period in product(
        declared.get("areas", []), [False, True] if by else [False], declared.get("periods", [])
    ):
        yield Grain(relation, period, area, by, is_apart, kept)


def publish(connection: psycopg.Connection[Any], metas: Mapping[str, Mapping[str, Any]]) -> None:
    """Make the views in `marts` as the metas of the published models want them; only what differs is touched.

    Raises BuildFailed if a view has to go that somebody else reads.
    """
    known = builds.grain_views(connection)
    wanted = {relation: meta for relation, meta in metas.items() if "grains" in meta}
    for relation in known.keys() - wanted.keys():
        _drop(connection, relation, known[relation][0])
    for relation, meta in wanted.items():
        described = _described(connection, relation)
        sums = _described(connection, meta["sums_of"]) if "sums_of" in meta else {}
        digest = hashlib.sha256(Path(__file__).read_bytes())
        digest.update(json.dumps([meta["grains"], described, [*sums]]).encode())
        names, made_from = known.get(relation, ([], ""))
        if made_from != digest.hexdigest():
            _drop(connection, relation, names)
            made = list(grains(relation, meta))
            for grain in made:
                columns = _columns(grain, meta["grains"].get("leaves", []), described, sums)
                connection.execute(_statements(grain, columns))
            write_builds.note_grain_views(
                connection, relation, [grain.name for grain in made], digest.hexdigest()
            )


def of_directorates(
    mixed: Mapping[str, sql.Composable],
    metas: Mapping[str, Mapping[str, Any]],
    columns: Mapping[str, Mapping[str, str]],
) -> dict[str, sql.Composed]:
    """The queries of the views that a directorate reads, by name; `mixed` has what it reads of each relation.

    It reads regions and directorates by month alone (ADR 14).
    """
    queries = {}
    for relation, rates in mixed.items():
        meta = metas[relation]
        described = {each: "" for each in columns[relation] if each not in meta.get("persons", [])}
        for grain in grains(relation, meta):
            if grain.area == "nation" or grain.period == "month":
                sums = columns.get(meta.get("sums_of", ""), {})
                chosen = _columns(grain, meta["grains"].get("leaves", []), described, sums)
                queries[grain.name] = _query(grain, chosen, sql.SQL("({})").format(rates))
    return queries


def _drop(connection: psycopg.Connection[Any], relation: str, names: list[str]) -> None:
    for name in names:
        views.drop(connection, "marts", name)
    write_builds.forget_grain_views(connection, relation)


def _described(connection: psycopg.Connection[Any], relation: str) -> dict[str, str]:
    """The columns of a mart in order, each with its description."""
    rows = connection.execute(
        "select attname, coalesce(col_description(attrelid, attnum), '') from pg_attribute "
        "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
        [f'marts."{relation}"'],
    )
    return dict(rows.fetchall())


def _columns(
    grain: Grain, left_out: list[str], described: Mapping[str, str], sums: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """The columns of a view: name, where it comes from, and description.

    Keys and names come first, then what is known of the period, numerators and denominators, and rates.
    """
    keys = {"period", "period_start_date", "period_end_date", "area", "area_code", "area_name", *left_out}
    columns = [(each, f"rates.{each}", described[each]) for each in ("period_start_date", "period_end_date")]
    if grain.period == "day":
        columns = [("business_date", "rates.period_start_date", COMMENTS["business_date"])]
    if grain.area in NAMED_BY:
        code, name = f"{grain.area}_code", f"{grain.area}_name"
        columns += [(code, "rates.area_code", COMMENTS[code]), (name, f"names.{name}", COMMENTS[name])]
    if grain.by and not grain.is_apart:
        keys.add(grain.by)

    def place(column: str) -> int:
        is_of_period = column == "day_count" or column.startswith("is_") or column in ROLLOUT
        return 0 if column in (grain.by, *grain.kept) else 1 if is_of_period else 2 if column in sums else 3

    others = [(each, f"rates.{each}", text) for each, text in described.items() if each not in keys]
    if grain.has_rollout:
        others += [(name, source, COMMENTS[name]) for name, source in ROLLOUT.items()]
    return columns + sorted(others, key=lambda each: place(each[0]))


def _query(grain: Grain, columns: list[tuple[str, str, str]], rates: sql.Composable) -> sql.Composed:
    """The rows of the grain in the relation or subquery `rates`."""
    selected = [
        sql.SQL(source).format() + sql.SQL(" as {}").format(sql.Identifier(name))
        for name, source, _ in columns
    ]
    where: sql.Composable = sql.SQL("rates.period = {} and rates.area = {}").format(
        sql.Literal(grain.period), sql.Literal(grain.area)
    )
    if grain.by:
        is_all = sql.SQL("<> 'all'" if grain.is_apart else "= 'all'")
        where = sql.SQL("{} and rates.{} {}").format(where, sql.Identifier(grain.by), is_all)
    names = sql.SQL("").format()
    if grain.area in NAMED_BY:
        names += sql.SQL(" left join {} as names on rates.area_code = names.{}").format(
            sql.Identifier("marts", NAMED_BY[grain.area]), sql.Identifier(f"{grain.area}_code")
        )
    if grain.has_rollout:
        names += sql.SQL(
            " left join marts.mart_parc_rollout as rollout "
            "on rates.area_code = rollout.region_code and rates.market = rollout.market"
        )
    return sql.SQL("select {} from {} as rates{} where {}").format(
        sql.SQL(", ").join(selected), rates, names, where
    )


def _statements(grain: Grain, columns: list[tuple[str, str, str]]) -> sql.Composed:
    """The view with its comments, as statements that run together."""
    view = sql.Identifier("marts", grain.name)
    query = _query(grain, columns, sql.Identifier("marts", grain.relation))
    create = sql.SQL("create view {} as ").format(view) + query
    about = sql.Literal(f"{grain.row}: a part of {grain.relation}, with names.")
    comments = [sql.SQL("comment on view {} is {}").format(view, about)]
    comments += [
        sql.SQL("comment on column {} is {}").format(
            sql.Identifier("marts", grain.name, name), sql.Literal(text)
        )
        for name, _, text in columns
    ]
    return sql.SQL(";\n").join([create, *comments])
