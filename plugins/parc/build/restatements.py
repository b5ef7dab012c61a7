"""Records in `marts.mart_restatements` how a delivery changed figures that BI had read: a restated or
withdrawn one, or one of an earlier date that took contacts from a published date."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from parc.ledger import build_inputs

_DIFFERENCES = """
insert into marts.mart_restatements
with restated as (
    select *
    from unnest(%(delivery_ids)s::bigint[], %(dates)s::date[]) as delivery (delivery_id, business_date)
),
reached as (
    select
        figures.business_date,
        array_agg(distinct restated.delivery_id order by restated.delivery_id) as delivery_ids
    from (select business_date from {built} union select business_date from {mart}) as figures
    inner join restated
        on %(lookback_days)s::integer is null
        or restated.business_date - figures.business_date between 0 and %(lookback_days)s
    group by figures.business_date
),
before as (
    select
        business_date, directorate_code, region_code, figure.key as figure,
        sum(figure.value::numeric) as total
    from {mart} as mart
    inner join reached using (business_date)
    cross join lateral jsonb_each_text(to_jsonb(mart)) as figure
    where figure.key = any (%(figures)s)
    group by 1, 2, 3, 4
),
after as (
    select
        business_date, directorate_code, region_code, figure.key as figure,
        sum(figure.value::numeric) as total
    from {built} as built
    inner join reached using (business_date)
    cross join lateral jsonb_each_text(to_jsonb(built)) as figure
    where figure.key = any (%(figures)s)
    group by 1, 2, 3, 4
)
select
    %(build_id)s, %(name)s, business_date, directorate_code, region_code, figure,
    before.total, after.total, reached.delivery_ids, array_to_string(reached.delivery_ids, ', ')
from before
full outer join after using (business_date, directorate_code, region_code, figure)
inner join reached using (business_date)
where before.total is distinct from after.total
"""


def keep(
    connection: psycopg.Connection[Any],
    build_id: int,
    name: str,
    meta: dict[str, Any],
    kinds: dict[str, str],
) -> None:
    """Compare a mart with the built table that will replace it, if a restated or withdrawn delivery, or one
    that took contacts from a later date, affects it.

    `meta.restated_by` names the feeds whose restatements count. A restatement affects its own date, or the
    one from which contacts were taken, and the `meta.lookback_days` before it; for a mart published as a
    whole, every date. `kinds` are the built table's columns with their types: bigint and numeric columns are
    figures, except for persons, whose counts do not add up.
    """
    restated = build_inputs.restated_dates(connection, build_id, meta["restated_by"])
    if not restated:
        return
    connection.execute(
        sql.SQL(_DIFFERENCES).format(built=sql.Identifier("build", name), mart=sql.Identifier("marts", name)),
        {
            "build_id": build_id,
            "name": name,
            "delivery_ids": [delivery_id for delivery_id, _ in restated],
            "dates": [business_date for _, business_date in restated],
            "lookback_days": meta.get("lookback_days", 0) if meta["publish"] == "by_date" else None,
            "figures": [
                column
                for column, kind in kinds.items()
                if kind.startswith(("bigint", "numeric")) and column not in meta.get("persons", [])
            ],
        },
    )
