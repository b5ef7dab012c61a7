"""What BI tools find by themselves: types that they read whole, keys that lead to joins, dbt's artifacts with
the names of `marts`, and a semantic layer whose metrics are the marts' own."""

from __future__ import annotations

import json
import re
import runpy
from datetime import date, timedelta

import pytest
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.postgres import PostgresSQLSqlPlanRenderer
from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

from parc.build import build, document
from parc.feeds import IN_LOADING_ORDER
from parc.loading import ingest
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from parc.warehouse import connect
from support.marts import restate, rows

FIRST, LAST = date(2012, 4, 29), date(2012, 5, 1)
"""Two weeks and two months."""
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
LAYER = runpy.run_path(str(PROJECT / "dbt_project/generate_semantic_layer.py"))
SUBJECTS = {
    "service_quality_daily": "service_quality",
    "boutiques_daily": "boutique",
    "interventions_daily": "intervention",
    "cross_channel_daily": "cross_channel",
}
"""Each mart of rates, by its word in the names of the views of one grain."""
PERIODS = {"day": "daily", "week": "weekly", "month": "monthly"}


class Renderer:
    """What MetricFlow needs to know of the database to write SQL for it."""

    sql_engine_type = SqlEngine.POSTGRES
    sql_plan_renderer = PostgresSQLSqlPlanRenderer()


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


@pytest.fixture(scope="module")
def artifacts(built: Settings) -> dict[str, str]:
    """What a tool reads of the project, beside dbt's page of it."""
    page = document(built)
    assert page
    names = ("manifest", "catalog", "semantic_manifest")
    return {name: page.with_name(f"{name}.json").read_text() for name in names} | {"page": page.read_text()}


@pytest.fixture(scope="module")
def metricflow(artifacts: dict[str, str]) -> MetricFlowEngine:
    """MetricFlow on the published artifact."""
    manifest = parse_manifest_from_dbt_generated_manifest(artifacts["semantic_manifest"])
    return MetricFlowEngine(SemanticManifestLookup(manifest), Renderer())  # type: ignore[arg-type]


def test_no_tool_cuts_a_value(built: Settings) -> None:
    others = set(
        rows(built, f"{COLUMNS} and format_type(atttypid, atttypmod) !~ '^({READ_WHOLE})$'", "admin")
    )
    assert {kind for _, _, kind in others} == {"bigint[]", "jsonb"}
    as_text = {(relation, f"{column}_text") for relation, column, _ in others}
    texts = rows(built, f"{COLUMNS} and atttypid = 'text'::regtype", "admin")
    assert as_text <= {(relation, column) for relation, column, _ in texts}
    missing = rows(built, "select missing_text from marts.published_build")
    assert missing == [("boutique_visits 2012-05-01 missing",)]


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


def test_artifacts_name_what_bi_reads(built: Settings, artifacts: dict[str, str]) -> None:
    nodes = json.loads(artifacts["manifest"])["nodes"]
    marts = {key: node for key, node in nodes.items() if node["resource_type"] == "model" and node["group"]}
    assert len(marts) > 45
    assert {(node["schema"], node["config"]["schema"]) for node in marts.values()} == {("marts", "marts")}
    for node in marts.values():
        rows(built, f"select from {node['relation_name']} limit 1", "bi_reader")
    catalog = json.loads(artifacts["catalog"])["nodes"]
    assert {catalog[key]["metadata"]["schema"] for key in marts} == {"marts"}
    for text in artifacts.values():
        assert not re.search(r'\\?"build\\?"\.', text)


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("area", ["region", "directorate", "nation"])
@pytest.mark.parametrize("is_apart", [True, False])
def test_each_metric_of_the_layer_is_the_marts_own(
    built: Settings, metricflow: MetricFlowEngine, period: str, area: str, is_apart: bool
) -> None:
    """Sums, ratios and rates, as MetricFlow computes them as BI, and as the views of one grain show them."""
    for mart in LAYER["MARTS"]:
        if mart.name not in SUBJECTS or area not in (*mart.entities, "nation"):
            continue
        apart = mart.dimensions if is_apart else ()
        view = "_".join(["mart", SUBJECTS[mart.name], area, *apart, PERIODS[period]])
        columns = rows(
            built, f"select attname::text from pg_attribute where attrelid = 'marts.{view}'::regclass"
        )
        only = dict(mart.only) if not is_apart else {}  # a view has these for one kind of rows
        compared = {
            figure: name
            for figure, name in LAYER["names"](mart).items()
            if (figure,) in columns and figure not in (*LAYER["stocks"](mart), *only)
        }
        assert {name for name, *_ in LAYER["ratios"](mart)} - {*only} <= {*compared}
        places = [] if area == "nation" else [area]
        by = [f"metric_time__{period}", *places, *(f"{mart.name}__{each}" for each in apart)]
        keys = [
            "business_date" if period == "day" else "period_start_date",
            *(f"{each}_code" for each in places),
        ]
        query = f"select {', '.join([*keys, *apart, *compared])} from marts.{view}"
        shown = figures(built, query, [*compared])
        asked = figures(built, written(metricflow, [*compared.values()], by), [*compared])
        assert asked.keys() == shown.keys()
        assert shown
        for key, values in shown.items():
            assert asked[key] == pytest.approx(values, abs=1e-6), key


@pytest.mark.parametrize(
    ("name", "date_column", "parts"),
    [
        ("answers_daily", "business_date", ("region", "answers_daily__answered_by")),
        ("answers_daily", "business_date", ("directorate", "answers_daily__market")),
        ("boutique_monthly", "period_start_date", ("boutique",)),
        ("boutique_monthly", "period_start_date", ("region",)),
    ],
)
def test_metrics_of_marts_without_views_are_their_sums(
    built: Settings, metricflow: MetricFlowEngine, name: str, date_column: str, parts: tuple[str, ...]
) -> None:
    """Each figure, and each ratio as the quotient of two sums, by month and parts."""
    [mart] = [each for each in LAYER["MARTS"] if each.name == name]
    own = LAYER["names"](mart)
    sums = {own[figure]: f"sum({figure})" for figure in LAYER["figures"](mart)}
    for metric in LAYER["ratios"](mart):
        up, down = LAYER["terms"](metric)
        sums[own[metric[0]]] = f"sum({up})::float / nullif(sum({down}), 0)"
    assert {*sums} == {*own.values()}
    columns = [each.partition("__")[2] or f"{each}_code" for each in parts]
    shown = figures(
        built,
        f"select date_trunc('month', {date_column})::date, {', '.join([*columns, *sums.values()])} "
        f"from marts.mart_{name} group by {', '.join(str(at + 1) for at in range(1 + len(columns)))}",
        [*sums],
    )
    asked = figures(built, written(metricflow, [*sums], ["metric_time__month", *parts]), [*sums])
    assert asked.keys() == shown.keys()
    assert len(shown) > 5
    for key, values in shown.items():
        assert asked[key] == pytest.approx(values, abs=1e-6), key


def test_stocks_are_those_of_the_last_date(built: Settings, metricflow: MetricFlowEngine) -> None:
    """And the occupancy is that of sites whose positions are planned."""
    for mart in LAYER["MARTS"]:
        for stock in LAYER["stocks"](mart):
            metric = LAYER["names"](mart)[stock]
            asked = figures(built, written(metricflow, [metric], ["metric_time__month"]), [metric])
            last = figures(
                built,
                "select distinct on (date_trunc('month', business_date)) "
                f"date_trunc('month', business_date), sum({stock}) from marts.mart_{mart.name} "
                "group by business_date order by 1, business_date desc",
                [metric],
            )
            assert asked == last
            assert len([key for key, values in asked.items() if values[metric]]) == len(asked) > 0
    asked = figures(built, written(metricflow, ["occupancy"], ["metric_time__day", "site"]), ["occupancy"])
    shown = figures(
        built,
        "select business_date, site_code, sum(handle_seconds) filter (where position_count is not null) "
        "/ nullif(sum(position_seconds), 0) from marts.mart_site_load_half_hourly "
        "group by business_date, site_code",
        ["occupancy"],
    )
    assert asked == {key: pytest.approx(values) for key, values in shown.items()}
    assert len([key for key, values in shown.items() if values["occupancy"]]) > 20


def written(metricflow: MetricFlowEngine, metrics: list[str], by: list[str]) -> str:
    """MetricFlow's SQL for metrics by dimensions."""
    request = MetricFlowQueryRequest.create(metric_names=metrics, group_by_names=by)
    return metricflow.explain(request).sql_statement.sql


def figures(
    settings: Settings, query: str, names: list[str]
) -> dict[tuple[str, ...], dict[str, float | None]]:
    """The figures of a query as BI, by what its first columns say."""
    return {
        tuple(str(each)[:10] for each in row[: -len(names)]): {
            name: value if value is None else float(value)
            for name, value in zip(names, row[-len(names) :], strict=True)
        }
        for row in rows(settings, query, "bi_reader")
    }


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
