"""Records in `marts.mart_restatements` the published figures that a build moves, and why.

What is about to be replaced is compared with what replaces it. A figure that was provisional moves whenever
what it waits for arrives; that alone is no restatement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import psycopg
from psycopg import sql

from parc.build.changes import Cause
from parc.ledger import build_inputs, builds
from parc.ledger.builds import Build

LONGEST_LOOKBACK_DAYS = 31
ANY_DATE = (date.min, date.max)

_MOVED = """
insert into marts.mart_restatements (
    build_id, mart, business_date, directorate_code, region_code, figure,
    value_before, value_after, cause, delivery_ids, delivery_ids_text
)
with before as (
    select business_date, {directorate} as directorate_code, {region} as region_code, {sums}
    from {mart} where {rows} group by 1, 2, 3
),
after as (
    select business_date, {directorate} as directorate_code, {region} as region_code, {sums}
    from {built} where {rows} group by 1, 2, 3
),
moved as materialized (
    select business_date, directorate_code, region_code, figures.*
    from before
    full outer join after using (business_date, directorate_code, region_code)
    cross join lateral (values {figures}) as figures (figure, figure_windows, value_before, value_after)
    where value_before is distinct from value_after
        and business_date in (select seen.business_date from before as seen)
),
reached as (
    select
        days.business_date,
        array_agg(distinct delivery_id order by delivery_id) filter (where delivery_id is not null)
            as delivery_ids
    from (select distinct business_date from moved) as days
    inner join unnest(%(first_dates)s::date[], %(last_dates)s::date[], %(delivery_ids)s::bigint[])
        as cause (first_date, last_date, delivery_id)
        on days.business_date between first_date and last_date
    group by days.business_date
),
final as (
    select business_date, array_agg(figure_window) as figure_windows from final_before group by business_date
),
told as (
    select
        %(build_id)s, %(name)s, business_date, directorate_code, region_code, figure, value_before,
        value_after,
        case
            when delivery_ids is not null then 'delivery'
            when reached.business_date is not null then 'seed'
            when %(is_redefined)s then 'definition'
            else 'delivery'
        end as cause,
        case
            when reached.business_date is not null or %(is_redefined)s then coalesce(delivery_ids, '{{}}')
            when figure = 'active_line_stock' then %(lines_ids)s
            else %(arrived_ids)s
        end as delivery_ids
    from moved
    left join reached using (business_date)
    left join final using (business_date)
    where reached.business_date is not null
        or moved.figure_windows <@ final.figure_windows
        or (%(is_redefined)s and %(arrived_ids)s::bigint[] = '{{}}')
)
select *, array_to_string(delivery_ids, ', ') from told
"""


class Restatements:
    """What moves figures in the running build.

    A cause reaches the dates of its feed that BI has seen, and as many before them as the mart looks back. A
    job has several dates, so a restated extract of jobs may reach any. `is_redefined`: the formulas
    may differ from those of the published figures.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        build: Build,
        causes: Sequence[Cause],
        *,
        is_redefined: bool,
    ) -> None:
        self._connection, self._build, self._is_redefined = connection, build, is_redefined
        self._seen = build_inputs.dates_seen(connection)
        self._causes = [*causes, *self._shared_keys(causes)]
        # Publication replaces the finality too, so what was final before is kept apart.
        connection.execute(
            "create temporary table final_before (figure_window text, business_date date) on commit drop"
        )
        self._windows: list[str] = []
        row = connection.execute("select to_regclass('marts.mart_finality_daily') is not null").fetchone()
        if row and row[0]:
            connection.execute(
                "insert into final_before select figure_window, business_date "
                "from marts.mart_finality_daily where status = 'final'"
            )
            windows = connection.execute("select distinct figure_window from marts.mart_finality_daily")
            self._windows = [name for (name,) in windows.fetchall()]

    def keep(self, name: str, meta: dict[str, Any], kinds: dict[str, str], rows: sql.Composable) -> None:
        """Compare the rows of a mart that match the condition `rows` with the built ones.

        `meta.restated_by` are the daily feeds that its figures come from. `kinds` are the columns that both
        tables have, with their types: bigint and numeric columns are figures, except for persons, whose
        counts do not add up, and for `meta.aliases`, former names of other columns.
        """
        feeds = meta["restated_by"]
        figures = [
            column
            for column, kind in kinds.items()
            if kind.startswith(("bigint", "numeric"))
            and column not in [*meta.get("persons", []), *meta.get("aliases", [])]
        ]
        is_whole = meta["publish"] == "whole"
        spans = list(self._spans(feeds, LONGEST_LOOKBACK_DAYS if is_whole else meta.get("lookback_days", 0)))
        arrived_ids = self._delivery_ids(feeds)
        names = {figure: sql.Identifier(figure) for figure in figures}
        self._connection.execute(
            sql.SQL(_MOVED).format(
                mart=sql.Identifier("marts", name),
                built=sql.Identifier("build", name),
                rows=rows,
                directorate=_code("directorate_code", kinds),
                region=_code("region_code", kinds),
                sums=sql.SQL(", ").join(
                    sql.SQL("sum({0})::numeric as {0}").format(column) for column in names.values()
                ),
                figures=sql.SQL(", ").join(
                    sql.SQL("({}, {}::text[], before.{}, after.{})").format(
                        figure, self._windows_of(figure, feeds), column, column
                    )
                    for figure, column in names.items()
                ),
            ),
            {
                "build_id": self._build.build_id,
                "name": name,
                "first_dates": [first for first, _, _ in spans],
                "last_dates": [last for _, last, _ in spans],
                "delivery_ids": [delivery_id for _, _, delivery_id in spans],
                "is_redefined": self._is_redefined,
                "lines_ids": self._delivery_ids(["active_lines"]) or arrived_ids,
                "arrived_ids": arrived_ids,
            },
        )

    def _shared_keys(self, causes: Sequence[Cause]) -> Iterator[Cause]:
        """Why dates joined the build while it ran: a delivery of an earlier date has their contacts, or no
        longer has them. (In a full refresh they cannot be told from the others.)"""
        if self._build.is_full_refresh:
            return
        known = {(each.subject, day) for each in causes for day in each.dates or ()}
        joined = (builds.dates(self._connection, self._build.build_id) & self._seen) - known
        taken = build_inputs.dates_taken(self._connection) if joined else set()
        for feed, day in joined:
            earlier = {
                each.delivery_id: found
                for each in causes
                if each.subject == feed
                for found in each.dates or ()
                if found < day
            }
            takers = {id_ for id_, found in earlier.items() if (feed, day, found) in taken}
            for delivery_id in takers or earlier:
                yield Cause(feed, delivery_id, frozenset([day]))

    def _spans(self, feeds: Sequence[str], lookback_days: int) -> Iterator[tuple[date, date, int | None]]:
        """First and last date that each cause reaches, and its delivery."""
        subjects = {*feeds, "intervention_places"} if "interventions" in feeds else set(feeds)
        for cause in self._causes:
            if cause.subject not in subjects:
                continue
            if cause.dates is None:
                yield *ANY_DATE, cause.delivery_id
                continue
            for day in cause.dates:
                span = (day - timedelta(days=lookback_days), day)
                if cause.delivery_id is None:
                    yield *span, None
                elif (cause.subject, day) not in self._seen:
                    continue  # BI sees it for the first time
                elif cause.subject == "interventions":
                    yield *ANY_DATE, cause.delivery_id
                else:
                    yield *span, cause.delivery_id

    def _delivery_ids(self, feeds: Sequence[str]) -> list[int]:
        return sorted(
            {each.delivery_id for each in self._causes if each.subject in feeds and each.delivery_id}
        )

    def _windows_of(self, figure: str, feeds: Sequence[str]) -> list[str]:
        """The windows in which a figure is final: those of its name, else of its feeds' dates."""
        if figure == "active_line_stock":
            return ["call_rate"]
        about = figure.removesuffix("_count").removesuffix("_stock")
        named = [each for each in self._windows if about.startswith(each) or each.startswith(f"{about}_")]
        return named or list(feeds)


def _code(column: str, kinds: dict[str, str]) -> sql.Composable:
    return sql.Identifier(column) if column in kinds else sql.Literal("all")
