"""What a directorate's login can read: its own rows and the nation's, and no cell of few persons."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import compress, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psycopg
import pypdf
import pytest
import yaml

from parc import weekly
from parc.build import build, grains, publication
from parc.build.dbt import ManifestEntry
from parc.errors import BuildFailed, ConfigurationError, ParcError
from parc.feeds import FEEDS
from parc.host.processes import free_port
from parc.loading import ingest
from parc.orchestration import weekly as weekly_task
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from parc.warehouse import connect, parameters
from parc.warehouse.logins import directorate_codes
from parc.weekly import IsoWeek
from parc.weekly.files import as_html
from support.command_line import environment, parc
from support.databases import empty_platform
from support.marts import reference_page
from support.receivers import mailbox
from support.weekly import MARTS, numbers_of, of_html

FIRST, LAST = date(2012, 4, 23), date(2012, 4, 25)
READERS = ("bi_ouest", "bi_nord")
Cell = tuple[date, str, str, str]
Cells = dict[Cell, list[int]]
"""Of each contact the person."""
Vector = np.ndarray[Any, np.dtype[np.float64]]
METAS: dict[str, dict[str, Any]] = {
    model["name"]: model["config"]["meta"]
    for path in (PROJECT / "dbt_project/models/marts").glob("*/**/*.yml")
    for model in yaml.load(path.read_text(), yaml.CSafeLoader)["models"]
}

GRAINS = {
    grain.name: grain
    for name, meta in METAS.items()
    if meta["scope"] != "closed"
    for grain in grains.grains(name, meta)
    if grain.area == "nation" or grain.period == "month"
}


def rows(settings: Settings, login: str, query: str) -> list[tuple[Any, ...]]:
    given = parameters(settings, "bi_reader")
    if login == "admin":
        given = parameters(settings, "admin")
    elif login != "bi_reader":
        given |= {"user": login, "password": settings.secret(f"{login}_password")}
    with psycopg.connect(**given) as connection:  # type: ignore[arg-type]
        return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def built(module_warehouse: Settings) -> Settings:
    """Three days of every feed."""
    simulate(FIRST, LAST, scale=0.003, seed=7, out=module_warehouse.landing)
    for feed in sorted(FEEDS, key=lambda name: name in ("calls", "boutique_visits", "interventions")):
        for day in (FIRST, FIRST + timedelta(days=1), LAST):
            ingest(module_warehouse, feed, day)
    build(module_warehouse)
    return module_warehouse


def test_every_mart_declares_its_scope(built: Settings) -> None:
    scopes = {name: meta.get("scope") for name, meta in METAS.items()}
    assert set(scopes.values()) == {"open", "closed", "directorate", "site", "region", "area"}
    assert {name for name in scopes if name.startswith("fct_")} <= {
        name for name, scope in scopes.items() if scope == "closed"
    }
    seen = rows(built, "bi_ouest", "select viewname::text from pg_views where schemaname = 'regional'")
    expected = {name for name, scope in scopes.items() if scope != "closed"} | {"published_build", *GRAINS}
    assert {name for (name,) in seen} == expected


@pytest.mark.parametrize("reader", READERS)
def test_only_the_scope_is_visible(built: Settings, reader: str) -> None:
    check_scopes(built, reader)


@pytest.mark.parametrize("reader", READERS)
def test_a_view_of_one_grain_is_its_part_of_what_the_directorate_reads(built: Settings, reader: str) -> None:
    filled = 0
    for name, grain in GRAINS.items():
        code = f"{grain.area}_code" if grain.area in grains.NAMED_BY else "'nation'"
        start = "business_date" if grain.period == "day" else "period_start_date"
        apart = f"{grain.by} {'<>' if grain.is_apart else '='} 'all'" if grain.by else "true"
        seen = rows(built, reader, f"select {code}, {start}, to_jsonb(r) from regional.{name} as r")
        part = rows(
            built,
            reader,
            f"select area_code, period_start_date, to_jsonb(r) from regional.{grain.relation} as r "
            f"where period = '{grain.period}' and area = '{grain.area}' and {apart}",
        )
        columns = [each for each in seen[0][2] if each in part[0][2]] if seen and part else []
        assert in_order(seen, columns) == in_order(part, columns), name
        filled += len(columns) > 3
    assert filled > len(GRAINS) / 2


def in_order(found: list[tuple[Any, ...]], columns: list[str]) -> list[str]:
    """Rows of a code, a date and figures as texts of these columns, sorted."""
    return sorted(f"{code} {day} {[figures[each] for each in columns]}" for code, day, figures in found)


@pytest.mark.soak
def test_everything_holds_after_a_full_refresh(built: Settings) -> None:
    before = {reader: contents(built, reader) for reader in READERS}
    page = reference_page(built, "write_rights")
    build(built, full_refresh=True)
    assert {reader: contents(built, reader) for reader in READERS} == before
    for reader in READERS:
        check_scopes(built, reader)
    assert reference_page(built, "write_rights") == page == (PROJECT / "docs/reference/rights.md").read_text()


@pytest.mark.parametrize(
    "statement",
    [
        "select * from marts.mart_service_quality_daily",
        "select * from marts.fct_calls",
        "select * from ops.delivery",
        "create view regional.mine as select 1",
        "create temp table mine (i int)",
        "set role bi_reader",
        "set session authorization bi_nord",
        "update regional.dim_site set directorate_code = 'OUEST'",
        "select lo_create(0)",
    ],
)
def test_a_directorate_cannot_escape_its_scope(built: Settings, statement: str) -> None:
    """The settings of the session are undone first."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(built, "bi_ouest", f"set transaction read write; {statement}")


def contents(settings: Settings, reader: str) -> dict[str, list[tuple[Any, ...]]]:
    names = [name for name, meta in METAS.items() if meta["scope"] != "closed"]
    return {
        name: rows(settings, reader, f"select r::text from regional.{name} as r order by 1") for name in names
    }


def check_scopes(settings: Settings, reader: str) -> None:
    """Every row lies in the declared scope, none is missing, and visible values are those that BI reads."""
    code = reader.removeprefix("bi_").upper()
    regions = f"(select region_code from marts.dim_department where directorate_code = '{code}')"
    scopes = {
        "open": "true",
        "directorate": f"directorate_code = '{code}'",
        "site": "site_code in (select site_code from marts.dim_site "
        f"where directorate_code = '{code}' or directorate_code is null)",
        "region": f"region_code in {regions}",
        "area": "area = 'nation' or period = 'month' and (area = 'directorate' and "
        f"area_code = '{code}' or area = 'region' and area_code in {regions})",
    }
    reported = 0
    for name, meta in METAS.items():
        if meta["scope"] == "closed":
            continue
        seen = rows(settings, reader, f"select to_jsonb(r) from regional.{name} as r order by r::text")
        whole = rows(
            settings, "bi_reader", f"select to_jsonb(r) from marts.{name} as r where {scopes[meta['scope']]}"
        )
        keys = meta.get("key") or [
            "period",
            "period_start_date",
            "area",
            "area_code",
            "market",
            "kind",
            "figure",
        ]
        by_key = {tuple(row.get(key) for key in keys): row for (row,) in whole}
        assert len(by_key) == len(whole) == len(seen), name
        for (row,) in seen:
            true = by_key[tuple(row.get(key) for key in keys)]
            is_true_for_all = meta["scope"] == "open" or row.get("area") == "nation"
            assert not row.keys() & set(meta.get("persons", []))
            for column, value in row.items():
                assert value == true[column] or (value is None and not is_true_for_all), (name, column)
            if not is_true_for_all:
                counts = [row[column] for column in meta.get("counts", [])]
                assert not [count for count in counts if count is not None and 0 < count < 5], (name, row)
                shown = [column for column, value in row.items() if value and column.endswith("_count")]
                if shown and column_of_day(meta):
                    persons = [true[column] for column in meta.get("persons", [])]
                    assert not [count for count in persons if count is None or 0 < count < 5], (name, row)
                    reported += 1
    assert reported, "everything is suppressed"


@pytest.mark.parametrize("name", [name for name, meta in METAS.items() if "persons_of" in meta])
def test_percentiles_are_reported_for_large_enough_cells(built: Settings, name: str) -> None:
    [(daily, persons)] = METAS[name]["persons_of"].items()
    parts = [part for part in ("market", "kind") if part in METAS[daily]["key"]]
    reported = 0
    for reader in READERS:
        figures = f"select to_jsonb(r) from regional.{name} as r where area <> 'nation'"
        for (row,) in rows(built, reader, figures):
            cells = [f"row.{row['area']}_code = '{row['area_code']}'"]
            cells += [f"'{row[part]}' in ('all', row.{part})" for part in parts]
            [(most,)] = rows(
                built,
                "bi_reader",
                f"select coalesce(max(least({', '.join(persons)})), 0) from marts.{daily} as row "
                f"where {' and '.join(cells)}",
            )
            is_derivable = any(value is not None for column, value in row.items() if column.startswith("p50"))
            assert most >= 5 or not is_derivable, row
            reported += is_derivable
    assert reported or name == "mart_intervention_time_percentiles"


def column_of_day(meta: dict[str, Any]) -> bool:
    return meta["scope"] in ("directorate", "site")


@pytest.mark.parametrize(
    ("mart", "column", "counted"),
    [
        (
            "mart_service_quality_daily",
            "offered_person_count",
            "select business_date, home_directorate_code, home_region_code, market, "
            "count(distinct identity_key) from marts.fct_calls where is_offered group by 1, 2, 3, 4",
        ),
        (
            "mart_boutiques_daily",
            "customer_visit_person_count",
            "select business_date, directorate_code, region_code, count(distinct customer_key) "
            "from marts.fct_boutique_visits where customer_key is not null group by 1, 2, 3",
        ),
        (
            "mart_interventions_daily",
            "requested_person_count",
            "select business_date, directorate_code, region_code, kind, max(persons) from ("
            "select requested_date as business_date, directorate_code, region_code, department_code, kind, "
            "count(distinct identity_key) as persons from marts.fct_interventions "
            f"where requested_date between '{FIRST}' and '{LAST}' group by 1, 2, 3, 4, 5"
            ") as of_departments group by 1, 2, 3, 4",
        ),
        (
            "mart_cross_channel_daily",
            "customer_answered_person_count",
            "select business_date, home_directorate_code, home_region_code, max(persons) from ("
            "select business_date, home_directorate_code, home_region_code, market, "
            "count(distinct customer_key) as persons from marts.fct_calls "
            "where outcome = 'answered' and customer_key is not null group by 1, 2, 3, 4"
            ") as of_markets group by 1, 2, 3",
        ),
    ],
)
def test_a_person_counts_once_in_a_cell(built: Settings, mart: str, column: str, counted: str) -> None:
    keys = ", ".join(METAS[mart]["key"])
    found = rows(built, "bi_reader", f"select {keys}, {column} from marts.{mart} where {column} > 0")
    assert len(found) > 3
    assert sorted(found) == sorted(rows(built, "bi_reader", counted))


DATES = [date(2012, 4, 27), date(2012, 4, 28), date(2012, 4, 30), date(2012, 5, 1), date(2012, 5, 2)]
PLACES = [("OUEST", "53"), ("OUEST", "52"), ("OUEST", "54"), ("SUD_OUEST", "54"), ("SUD", "91")]
MARKETS = ("home", "business")
PERIODS = {
    "day": "business_date",
    "week": "date_trunc('week', business_date::timestamp)::date",
    "month": "date_trunc('month', business_date::timestamp)::date",
}
AREAS = {"nation": "'nation'", "directorate": "directorate_code", "region": "region_code"}


def entry(name: str, reads: Sequence[str] = (), **meta: Any) -> ManifestEntry:
    return ManifestEntry(name, "model", list(reads), meta, "", "", "", None, None, {})


PROBES = [
    entry("dim_department", publish="whole", scope="open"),
    entry(
        "mart_probe_daily",
        publish="whole",
        scope="directorate",
        persons=["person_count"],
        key=["business_date", "directorate_code", "region_code", "market"],
    ),
    entry(
        "mart_probe_rates",
        ["model.parc.mart_probe_daily"],
        publish="view",
        scope="area",
        counts=["call_count"],
        sums_of="mart_probe_daily",
    ),
]


@pytest.fixture(scope="module")
def probed(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Calls of three directorates, two of which share a region: by day, and rolled up as rates are."""
    rates = " union all ".join(
        f"select '{period}'::text as period, {start} as period_start_date, '{area}'::text as area, "
        f"{code}::text as area_code, {market} as market, sum(call_count)::bigint as call_count "
        "from build.mart_probe_daily group by 2, 4, 5"
        for (period, start), (area, code), market in product(
            PERIODS.items(), AREAS.items(), ("market", "'all'::text")
        )
    )
    with empty_platform(server, tmp_path_factory.mktemp("probed")) as settings:
        with connect(settings, "transformer") as connection:
            connection.execute(
                "create table build.dim_department (region_code text, directorate_code text);"
                "create table build.mart_probe_daily (business_date date, directorate_code text, "
                "region_code text, market text, call_count bigint, person_count bigint);"
                f"create view build.mart_probe_rates as {rates}".encode()
            )
            for directorate, region in PLACES:
                connection.execute("insert into build.dim_department values (%s, %s)", [region, directorate])
        yield settings


@pytest.mark.parametrize("seed", range(40))
def test_differences_of_published_figures_reveal_no_small_cell(probed: Settings, seed: int) -> None:
    """Nor does any linear combination of the visible numbers."""
    chance = random.Random(seed)
    rare = (0.0, 0.01, 0.03, 0.1)[seed % 4]
    thin = {place for place in PLACES if rare and chance.random() < 0.4}
    cells: Cells = {}
    for day, place, market in product(DATES, PLACES, MARKETS):
        (fewest, most), known = (5, 30) if chance.random() >= rare else (0, 4), range(1000)
        if place in thin:  # where the same few call again and again
            fewest, most = (0, 0) if chance.random() < 0.8 else (1, 4)
            known = range(1000 * PLACES.index(place) + 1000, 1000 * PLACES.index(place) + 1006)
        persons = chance.sample(known, chance.randint(fewest, most))
        cells[day, *place, market] = [each for each in persons for _ in range(chance.randint(1, 3))]
    publish(probed, cells)
    for reader, directorate in (("bi_ouest", "OUEST"), ("bi_sud_ouest", "SUD_OUEST"), ("bi_sud", "SUD")):
        daily = rows(probed, reader, "select * from regional.mart_probe_daily where call_count is not null")
        rolled = rows(probed, reader, "select * from regional.mart_probe_rates where call_count is not null")
        assert {row[1] for row in daily} <= {directorate}
        if not rare:
            assert len(daily) == sum(cell[1] == directorate for cell in cells)
            assert {row[2] for row in rolled} == set(AREAS)
        of_nation = [sum_of(cells, *row[:5]) for row in rolled if row[2] == "nation"]
        reported = [sum_of(cells, *row[:5]) for row in rolled] + [
            indicator(cells, lambda cell, row=row: cell == row[:4]) for row in daily
        ]
        for small in small_sums(cells, directorate):
            assert is_derivable(small, of_nation) or not is_derivable(small, reported)


def test_a_view_follows_its_mart(probed: Settings) -> None:
    """It is recreated only if its mart changes; BI's own objects on it are not dropped silently."""

    def views() -> dict[str, tuple[int, list[str]]]:
        found = rows(
            probed,
            "bi_sud",
            "select relname::text, pg_class.oid::int, array_agg(attname::text order by attname) "
            "from pg_class "
            "inner join pg_attribute on attrelid = pg_class.oid and attnum > 0 "
            "where relnamespace = 'regional'::regnamespace and relkind = 'v' group by 1, 2",
        )
        return {name: (oid, columns) for name, oid, columns in found}

    def alter(how: str) -> None:
        with connect(probed, "admin") as connection:
            connection.execute(how.encode())
        publish(probed, {})

    publish(probed, {})
    before = views()
    alter("alter table build.mart_probe_daily add column note text")
    after = views()
    changed = {name for name in before if before[name][0] != after[name][0]}
    assert changed == {"mart_probe_daily"} and "note" in after["mart_probe_daily"][1]
    alter("create view public.of_bi as select note from regional.mart_probe_daily")
    with pytest.raises(BuildFailed, match="regional.mart_probe_daily changes, but is still used: view of_bi"):
        alter("alter table build.mart_probe_daily drop column note")
    assert views() == after
    alter("drop view public.of_bi")
    assert views()["mart_probe_daily"][1] == before["mart_probe_daily"][1]
    assert rows(probed, "bi_sud", "select * from regional.mart_probe_daily") == []


def publish(settings: Settings, cells: Cells) -> None:
    with connect(settings, "transformer") as connection:
        connection.execute("truncate build.mart_probe_daily")
        connection.cursor().executemany(
            "insert into build.mart_probe_daily values (%s, %s, %s, %s, %s, %s)",
            [(*cell, len(persons), len(set(persons))) for cell, persons in cells.items()],
        )
        connection.execute("update ops.build set status = 'published'")
        [build_id] = connection.execute(
            "insert into ops.build (status, is_full_refresh) values ('running', true) returning build_id"
        ).fetchone()  # type: ignore[misc]
        publication.publish(connection, PROBES, build_id)


def indicator(cells: Cells, holds: Callable[[Cell], bool]) -> Vector:
    return np.array([float(holds(cell)) for cell in cells])


def sum_of(cells: Cells, period: str, start: date, area: str, code: str, market: str) -> Vector:
    """Which cells a row of the rates adds up."""

    def is_part(cell: Cell) -> bool:
        day, directorate, region, of_market = cell
        starts = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}
        codes = {"nation": "nation", "directorate": directorate, "region": region}
        return starts[period] == start and codes[area] == code and market in ("all", of_market)

    return indicator(cells, is_part)


def small_sums(cells: Cells, directorate: str) -> Iterator[Vector]:
    """Sums of too few persons: of a day or a month, the directorate or the others, a region or all, a market
    or all."""
    times = [{day} for day in DATES] + [{day for day in DATES if day.month == month} for month in (4, 5)]
    regions = [{region for _, region in PLACES}] + [{region} for _, region in PLACES]
    markets = [set(MARKETS)] + [{market} for market in MARKETS]
    for days, is_own, places, kinds in product(times, (True, False), regions, markets):
        vector = indicator(
            cells,
            lambda cell, days=days, is_own=is_own, places=places, kinds=kinds: (
                cell[0] in days
                and (cell[1] == directorate) == is_own
                and cell[2] in places
                and cell[3] in kinds
            ),
        )
        persons = set().union(*compress(cells.values(), vector))
        if 0 < len(persons) < 5:
            yield vector


def is_derivable(wanted: Vector, reported: list[Vector]) -> bool:
    """Whether the sum is a linear combination of the visible ones."""
    if not reported:
        return False
    known = np.array(reported)
    factors = np.linalg.lstsq(known.T, wanted, rcond=None)[0]
    return bool(np.allclose(known.T @ factors, wanted, atol=1e-6))


WEEK = IsoWeek.of(FIRST)


@pytest.fixture(scope="module")
def with_weeks(built: Settings, copy_of: Callable[[Settings], Settings]) -> Settings:
    """The same, with a week before, limits of every figure, and some figures out of the ordinary."""
    settings = copy_of(built)
    with connect(settings, "admin") as connection:
        connection.execute(
            """
            insert into marts.mart_process_behaviour
            select (jsonb_populate_record(charts, jsonb_build_object(
                'week_start_date', week_start_date - 7, 'metric_value', metric_value * 0.97,
                'signal', case when metric = 'repeat_7d_rate' and region_code < '53'
                    then 'above_upper_limit' end
            ))).*
            from marts.mart_process_behaviour as charts;
            update marts.mart_process_behaviour set
                mean_value = metric_value * 0.99,
                lower_limit = metric_value * 0.9 - 0.01,
                upper_limit = metric_value * 1.1 + 0.000444,
                run_length = 11,
                signal = coalesce(signal, case
                    when metric = 'mean_wait_seconds' and region_code in ('31', '53') then 'run_below_mean'
                    when metric = 'service_level' and region_code <> '52' then 'below_lower_limit'
                end)
            """
        )
    return settings


@pytest.mark.parametrize("code", ["OUEST", "NORD", "SUD_EST"])
def test_every_number_of_a_weekly_page_is_that_of_the_marts(with_weeks: Settings, code: str) -> None:
    [made] = weekly.make(with_weeks, WEEK, [code])
    found = of_html(made.files.html.read_text())
    with connect(with_weeks, "bi_reader") as connection:
        expected = connection.execute(MARTS.encode(), {"directorate": code, "monday": WEEK.monday}).fetchall()
    assert Counter(value for value, _ in found.data) == Counter(value for _, value in expected if value)
    assert len(found.data) > 10
    scale = {"mean_wait_seconds": 1, "call_rate": 1}
    as_shown = {
        (value, f"{(Decimal(value) * scale.get(metric, 100)).quantize(Decimal('0.1'), ROUND_HALF_UP)}")
        for metric, value in expected
        if value and metric not in ("whole", "week")
    }
    for value, shown in found.data:
        number = shown.rstrip(" %s\xa0").replace("\xa0", "").replace(",", ".").replace("\N{MINUS SIGN}", "-")
        assert (value, number) in as_shown or number == value or value.endswith(f"-W{number}"), (value, shown)
    assert set(numbers_of(found.unmarked)) <= {"1", "000", "20", "4", "5", "7"}, (
        "labels have no other numbers"
    )
    [sheet] = pypdf.PdfReader(made.files.pdf).pages
    assert numbers_of(sheet.extract_text()) == numbers_of(found.text)


def test_a_weekly_page_shows_the_state_of_the_rollout(with_weeks: Settings) -> None:
    [made] = weekly.make(with_weeks, WEEK, ["OUEST"])
    found = of_html(made.files.html.read_text())
    planned = rows(
        with_weeks,
        "bi_reader",
        "select planned_go_live_date::text from marts.mart_parc_rollout_daily "
        f"where region_code in ('52', '53') and business_date = '{LAST}'",
    )
    assert {day for (day,) in planned} <= {day for day, _ in found.days}
    assert str(LAST) in {day for day, _ in found.days}
    assert "Bretagne" in found.text and "Pays de la Loire" in found.text and "Picardie" not in found.text
    assert made.page.is_final is False
    assert "Livraison «\xa0appels\xa0» pas encore reçue : jeudi\xa026\xa0avril" in found.text


def test_a_weekly_page_hides_what_the_directorate_may_not_read(
    with_weeks: Settings, copy_of: Callable[[Settings], Settings]
) -> None:
    settings = copy_of(with_weeks)
    [before] = weekly.make(settings, WEEK, ["OUEST"])
    hidden = "region_code = '53' and metric = 'satisfaction'"
    with connect(settings, "admin") as connection:
        connection.execute(
            f"update marts.mart_process_behaviour set person_count = 4 where {hidden}".encode()
        )
    value = rows(
        settings,
        "bi_reader",
        f"select metric_value::text from marts.mart_process_behaviour "
        f"where {hidden} and week_start_date = '{WEEK.monday}'",
    )[0][0]
    [after] = weekly.make(settings, WEEK, ["OUEST"])
    assert value in dict(of_html(as_html(before.page)).data)
    found = of_html(after.files.html.read_text())
    assert value not in dict(found.data) and "masqué (peu de personnes)" in found.text


def test_a_week_without_data_and_a_platform_without_marts(built: Settings, warehouse: Settings) -> None:
    [made] = weekly.make(built, IsoWeek.named("2011-W10"), ["EST"])
    assert made.page.is_final is None
    assert "Aucun chiffre pour cette semaine." in of_html(made.files.html.read_text()).text
    with pytest.raises(ParcError, match="no marts are published yet"):
        weekly.make(warehouse, WEEK, ["EST"])
    assert weekly.of_night(warehouse, WEEK.sunday) == []


def test_a_weekly_page_is_mailed_once(
    with_weeks: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One address does not take it at first; the ledger names none."""
    who = tmp_path / "who.csv"
    who.write_text(
        "directorate_code,address\nOUEST,dr.ouest@example.org\nOUEST,brest@example.org\nEST,e@example.org\n"
    )
    settings = replace(with_weeks, weekly_addresses=who)
    made = weekly.make(settings, WEEK, ["OUEST", "NORD"])
    with pytest.raises(ConfigurationError, match="PARC_WEEKLY_MAIL must name a mail server"):
        weekly.send(settings, made)
    server = "mailto://127.0.0.1:{}?from=parc@example.org&to=somebody@example.org"
    monkeypatch.setenv("PARC_WEEKLY_MAIL", server.format(free_port()))
    results = weekly.send(settings, made)
    assert [(each.new_mail_count, each.failed_mail_count) for each in results] == [(0, 2), (0, 0)]
    with pytest.raises(ConfigurationError, match="2 addresses did not take it; run this again"):
        weekly.check_sent(results)

    def counts(again: bool = False) -> list[tuple[int, int]]:
        sent = weekly.send(settings, made, again=again)
        weekly.check_sent(sent)
        return [(each.new_mail_count, each.earlier_mail_count) for each in sent]

    with mailbox() as (port, mails):
        monkeypatch.setenv("PARC_WEEKLY_MAIL", server.format(port))
        assert counts() == [(2, 0), (0, 0)]
        assert counts() == [(0, 2), (0, 0)]
        assert len(mails) == 2
        who.write_text(who.read_text() + "OUEST,DR.OUEST@example.org\nNORD,nord@example.org\n")
        assert counts() == [(0, 2), (1, 0)], "a new address alone"
        assert counts(again=True) == [(2, 0), (1, 0)]
        assert [each["To"] for each in mails[:2]] == ["dr.ouest@example.org", "brest@example.org"]
        assert len(mails) == 6
    assert str(mails[0]["Subject"]) == "PARC, Direction régionale Ouest, semaine 17 de 2012"
    [pdf] = [part for part in mails[0].walk() if part.get_content_type() == "application/pdf"]
    assert pdf.get_payload(decode=True) == made[0].files.pdf.read_bytes()
    [html] = [part for part in mails[0].walk() if part.get_content_type() == "text/html"]
    assert of_html(html.get_content()).data == of_html(as_html(made[0].page)).data
    noted = rows(settings, "admin", "select w::text from ops.weekly_mail as w")
    logged = [each.getMessage() for each in caplog.records if not each.name.startswith("mail.")]
    assert len(noted) == 3 and "@" not in f"{noted}{logged}"


def test_a_night_sends_the_week_that_it_ends(with_weeks: Settings) -> None:
    """Nothing on other days, and nothing of a week that the marts have left behind."""
    assert weekly.of_night(with_weeks, LAST) == weekly.of_night(with_weeks, WEEK.earlier(1).sunday) == []
    made = weekly.of_night(with_weeks, WEEK.sunday)
    assert [each.directorate_code for each in made] == directorate_codes(with_weeks)
    assert {len(pypdf.PdfReader(each.files.pdf).pages) for each in made} == {1}


def test_a_directorate_that_is_not_built_yet_stops_no_other(
    with_weeks: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its login is there, and the seed names it, but no build does."""
    with connect(with_weeks, "admin") as connection:
        connection.execute("create table public.kept as select * from marts.dim_directorate")
        connection.execute("delete from marts.dim_directorate where directorate_code = 'SUD'")
    pages = with_weeks.home / "weekly" / "2012-W17"
    shutil.rmtree(pages, ignore_errors=True)
    done = parc(with_weeks, "report", "--week", "2012-W17")
    assert done.returncode == 0, done.stderr
    assert "none for SUD, which no published build has yet" in " ".join(done.stderr.split())
    written = {path.stem for path in pages.glob("*.pdf")}
    assert written == set(directorate_codes(with_weeks)) - {"SUD"}
    alone = parc(with_weeks, "report", "--week", "2012-W17", "--directorate", "SUD")
    assert alone.returncode != 0 and "no published build has the directorate SUD yet" in alone.stderr
    with connect(with_weeks, "admin") as connection:  # the tests below have it
        connection.execute(
            "insert into marts.dim_directorate select * from public.kept where directorate_code = 'SUD'"
        )
        connection.execute("drop table public.kept")


def test_the_command_and_the_task_write_the_pages(
    with_weeks: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(with_weeks, home=tmp_path)
    for login in ("bi_est", "bi_ouest"):
        settings.secret_file(f"{login}_password").parent.mkdir(exist_ok=True)
        settings.secret_file(f"{login}_password").write_text(with_weeks.secret(f"{login}_password"))
    done = parc(settings, "report", "--week", "2012-W17", "--directorate", "OUEST", "--json")
    [told] = json.loads(done.stdout)
    assert (told["directorate_code"], told["is_final"], told["new_mail_count"]) == ("OUEST", False, 0)
    assert Path(told["pdf"]) == tmp_path / "weekly" / "2012-W17" / "OUEST.pdf"
    sent = parc(with_weeks, "report", "--week", "2012-W17", "--send")
    assert sent.returncode == 0, sent.stderr
    for arguments, why in {
        ("--week", "2012-17"): "is not a week such as 2012-W17",
        ("--week", "9999-W52"): "is not a week of the years 1990 to 2099",
        ("--week", "2012-W17", "--directorate", "WEST"): "is no directorate",
        # As of a variable that is not set: not all of them.
        ("--week", "2012-W17", "--directorate", "", "--send"): "is no directorate",
        ("--week", "2012-W17", "--again"): "it needs --send",
    }.items():
        refused = parc(settings, "report", *arguments)
        assert refused.returncode == 2 and why in " ".join(refused.stderr.split()), refused.stderr
    without = parc(settings, "report", "--week", "2012-W17", "--directorate", "NORD")
    assert without.returncode == 3 and "the password of bi_nord is not here" in without.stderr

    for name, value in environment(with_weeks).items():
        monkeypatch.setenv(name, value)
    context = {
        "dag_run": SimpleNamespace(
            logical_date=datetime(2012, 4, 30, 5, 30, tzinfo=UTC), run_type="scheduled"
        ),
        "params": {"business_date": None, "send_again": False},
    }
    monkeypatch.setattr(weekly_task, "get_current_context", lambda: context)
    path = with_weeks.home / "weekly" / "2012-W17" / "SUD.pdf"
    path.unlink(missing_ok=True)
    weekly_task.send_pages().operator.python_callable()
    assert path.exists()
