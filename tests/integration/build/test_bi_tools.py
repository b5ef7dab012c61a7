"""What BI tools find in `marts` by themselves: types that they read whole, keys that lead to joins."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from parc.build import build
from parc.feeds import IN_LOADING_ORDER
from parc.loading import ingest
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect
from support.marts import restate, rows

FIRST, LAST = date(2012, 4, 23), date(2012, 4, 25)
READ_WHOLE = (
    r"bigint|integer|smallint|double precision|numeric\(\d+,\d+\)|boolean|text|uuid|date|"
    "time without time zone|timestamp with time zone"
)
"""Types that ODBC has a counterpart of; a driver makes text of any other, and cuts it, or gives a numeric
without a scale six places."""
COLUMNS = (
    "select relname::text, attname::text, format_type(atttypid, atttypmod) from pg_class "
    "join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped "
    "where relnamespace in ('marts'::regnamespace, 'regional'::regnamespace) and relkind in ('r', 'v') "
)
KEYS = (
    "select conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), oid from pg_constraint "
    "where connamespace = 'marts'::regnamespace and contype = '{}' order by 1, 2"
)


@pytest.fixture(scope="module")
def built(module_warehouse: Settings) -> Settings:
    """Three days of every feed, but no visits on the last."""
    simulate(FIRST, LAST, scale=0.003, seed=7, out=module_warehouse.landing)
    for feed in IN_LOADING_ORDER:
        for day in (FIRST, FIRST + timedelta(days=1), LAST):
            if (feed, day) != ("boutique_visits", LAST):
                ingest(module_warehouse, feed, day)
    build(module_warehouse)
    return module_warehouse


def test_no_tool_cuts_a_value(built: Settings) -> None:
    others = set(
        rows(built, f"{COLUMNS} and format_type(atttypid, atttypmod) !~ '^({READ_WHOLE})$'", "admin")
    )
    assert {kind for _, _, kind in others} == {"bigint[]", "jsonb"}
    as_text = {(relation, f"{column}_text") for relation, column, _ in others}
    texts = rows(built, f"{COLUMNS} and atttypid = 'text'::regtype", "admin")
    assert as_text <= {(relation, column) for relation, column, _ in texts}
    missing = rows(built, "select missing_text from marts.published_build")
    assert missing == [("boutique_visits 2012-04-25 missing",)]


def test_tools_find_the_keys(built: Settings) -> None:
    """Every mart but the facts has its primary key; every home leads to its region, and so on."""
    primary = rows(built, KEYS.format("p"), "admin")
    tables = rows(built, "select tablename::text from pg_tables where schemaname = 'marts'", "admin")
    without = {name for (name,) in tables} - {table.removeprefix("marts.") for table, *_ in primary}
    assert without == {"fct_calls", "fct_boutique_visits", "fct_interventions", "published_build"}
    foreign = rows(built, KEYS.format("f"), "admin")
    of_calls = {name for table, name, *_ in foreign if table == "marts.fct_calls"}
    assert of_calls == {
        "business_date_fkey",
        "home_department_code_fkey",
        "home_directorate_code_fkey",
        "home_region_code_fkey",
        "site_code_fkey",
    }


def test_every_foreign_key_holds(built: Settings) -> None:
    """Nobody enforces them; department 975, which belongs to no region, is not in this data."""
    lost = [
        re.sub(
            r"FOREIGN KEY \((\w+)\) REFERENCES ([\w.]+)\((\w+)\) NOT ENFORCED",
            rf"select '{table}.\1' from {table} where \1 not in (select \3 from \2)",
            definition,
        )
        for table, _, definition, _ in rows(built, KEYS.format("f"), "admin")
        if definition.startswith("FOREIGN KEY") and " REFERENCES marts." in definition
    ]
    assert len(lost) > 60
    assert rows(built, " union ".join(lost)) == []


def test_keys_are_made_once_and_texts_follow(built: Settings) -> None:
    """After a restated date, and after keys that are gone or other than the metas want them."""
    before = [rows(built, KEYS.format(kind), "admin") for kind in "pf"]
    with connect(built, "transformer") as connection:
        connection.execute("alter table marts.dim_region drop constraint dim_region_pkey cascade")
        connection.execute(
            "alter table marts.mart_parc_effect drop constraint mart_parc_effect_pkey, "
            "add constraint mart_parc_effect_pkey primary key (effect_key, effect_kind, market, outcome)"
        )
    restate(built, FIRST, drop=100)
    assert ingest(built, "calls", FIRST).status == "published"
    build(built)
    after = [rows(built, KEYS.format(kind), "admin") for kind in "pf"]
    assert [[key[:3] for key in keys] for keys in after] == [[key[:3] for key in keys] for keys in before]
    made_again = {key[:2] for old, new in zip(before, after, strict=True) for key in set(new) - set(old)}
    assert {table for table, name in made_again if name.endswith("_pkey")} == {
        "marts.dim_region",
        "marts.mart_parc_effect",
    }
    assert {name for _, name in made_again if name.endswith("_fkey")} == {
        "region_code_fkey",
        "home_region_code_fkey",
    }
    as_text = "select distinct delivery_ids_text = delivery_ids[1]::text from marts.mart_restatements"
    assert rows(built, as_text) == [(True,)]
