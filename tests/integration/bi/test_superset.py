"""Superset as `make bi` starts it: every dashboard is drawn, its numbers are the marts', each login sees its
own, and what is exported is what was imported."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import psutil
import pytest
import yaml

from parc.build import build
from parc.feeds import IN_LOADING_ORDER
from parc.loading import ingest
from parc.platform import bi
from parc.platform.bi import StartedBi
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from support.superset import Api, Seen, answered, asked_directly, browser, in_order, open_dashboard
from support.superset_figures import OF_READERS, OF_THE_NATION

FIRST, LAST = date(2012, 4, 24), date(2012, 4, 26)
ASSETS = PROJECT / "bi" / "assets"
DASHBOARDS = {
    document["slug"]: {
        each["meta"]["sliceName"]
        for each in document["position"].values()
        if isinstance(each, dict) and each["type"] == "CHART"
    }
    for document in (
        yaml.load(path.read_text(), yaml.CSafeLoader) for path in sorted(ASSETS.glob("dashboards/*.yaml"))
    )
}
NATIONAL_ONLY = "operations"
MOST_BYTES = 1 << 30


@pytest.fixture(scope="session")
def installed() -> float:
    """Superset's environment, from its lock; the seconds that it took."""
    began = time.monotonic()
    done = subprocess.run(
        ["make", "--no-print-directory", ".venv-bi/ready"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


@pytest.fixture(scope="module")
def built(module_warehouse: Settings) -> Settings:
    """Three days of every feed, of which one has rows that break a rule."""
    faults = ("bad_rows@calls:2012-04-25",)
    simulate(FIRST, LAST, scale=0.01, seed=7, out=module_warehouse.landing, faults=faults)
    for feed in IN_LOADING_ORDER:
        for offset in range(3):
            ingest(module_warehouse, feed, FIRST + timedelta(days=offset))
    build(module_warehouse)
    return module_warehouse


@pytest.fixture(scope="module")
def started(installed: float, built: Settings) -> Iterator[StartedBi]:
    """Superset on these marts."""
    began = time.monotonic()
    try:
        found = bi.start(built)
        print(f"\nSuperset: {installed:.0f} s to install, {time.monotonic() - began:.0f} s to start")
        yield found
    finally:
        bi.stop(built)


@pytest.fixture(scope="module")
def seen(started: StartedBi) -> dict[str, Seen]:
    """Every dashboard in a browser, as the national reader."""
    with browser(started, bi.NATIONAL) as page:
        return {name: open_dashboard(page, name, len(charts)) for name, charts in DASHBOARDS.items()}


@pytest.fixture(scope="module")
def names(started: StartedBi) -> dict[int, str]:
    """The name of each chart by the number that this Superset gave it."""
    api = Api(started, bi.NATIONAL)
    return {number: name for each in DASHBOARDS for number, name in api.charts(each).items()}


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_every_chart_is_drawn_and_nothing_goes_wrong(
    seen: dict[str, Seen], names: dict[int, str], dashboard: str
) -> None:
    found = seen[dashboard]
    assert found.errors == []
    assert {names[number] for number in found.answers} == DASHBOARDS[dashboard]
    empty = {names[int(number)] for number, marks in found.drawn.items() if not marks}
    nothing = {names[n] for n, answer in found.answers.items() if "result" in answer and not answered(answer)}
    assert not empty - nothing, "no mark is drawn"
    assert ("directorate's login" in found.note) != (dashboard == NATIONAL_ONLY), "says what sums lack"
    assert "may still move" in found.note or "can no longer move" in found.note
    assert found.foreign <= {"apachesuperset.gateway.scarf.sh"}, "asked for, and stopped by the policy"


def test_the_policy_lets_nothing_reach_another_host(started: StartedBi) -> None:
    policy = Api(started, bi.NATIONAL).client.get("/login/").headers["Content-Security-Policy"]
    assert "http" not in policy and "scarf" not in policy and "*" not in policy
    assert "default-src 'self'" in policy and "script-src 'self' 'strict-dynamic' 'nonce-" in policy


def test_numbers_are_those_of_the_marts(
    seen: dict[str, Seen], names: dict[int, str], built: Settings
) -> None:
    answers = {names[number]: answer for each in seen.values() for number, answer in each.answers.items()}
    texts = {names[int(number)]: text for each in seen.values() for number, text in each.texts.items()}
    kinds = {each["slice_name"]: each["viz_type"] for each in _documents("charts")}
    asked = {name for name, kind in kinds.items() if kind in ("table", "big_number_total")}
    assert asked == set(OF_THE_NATION)
    for name, query in OF_THE_NATION.items():
        direct = asked_directly(built, bi.NATIONAL, query)
        assert in_order(answered(answers[name])) == in_order(direct), name
    for name, figure in (("Calls", "offered_count"), ("Service level", "service_level")):
        [row] = asked_directly(built, bi.NATIONAL, OF_THE_NATION[name])
        shown = f"{int(row[figure]):,d}" if name == "Calls" else f"{float(row[figure]):.1%}"
        assert shown in texts[name].splitlines()


def test_maps_show_each_department_by_its_region(
    seen: dict[str, Seen], names: dict[int, str], built: Settings
) -> None:
    answers = {names[number]: answer for each in seen.values() for number, answer in each.answers.items()}
    for name in ("Markets live, by department", "Answered at home, by department"):
        codes = {row["country_id"] for row in answers[name]["data"]}
        assert len(codes) == 101 and {"FR-2A", "FR-75", "FR-RE", "FR-YT"} <= codes
    shown = {row["country_id"]: row["metric"] for row in answers["Answered at home, by department"]["data"]}
    [bretagne] = asked_directly(
        built,
        bi.NATIONAL,
        "select sum(home_in_hours_count) / sum(in_hours_known_answered_count) as rate "
        "from mart_service_quality_daily where region_code = '53'",
    )
    assert [shown[f"FR-{code}"] for code in (22, 29, 35, 56)] == pytest.approx([float(bretagne["rate"])] * 4)


def test_a_directorate_sees_its_own_figures_only(
    started: StartedBi, seen: dict[str, Seen], names: dict[int, str], built: Settings
) -> None:
    check_directorate(started, seen, names, built, "bi_ouest", {"Bretagne", "Pays de la Loire"})


def check_directorate(
    started: StartedBi,
    seen: dict[str, Seen],
    names: dict[int, str],
    built: Settings,
    login: str,
    regions: set[str],
) -> None:
    """Asks as the directorate whatever the national reader's browser asked."""
    api = Api(started, login)
    shown = {each["slug"] for each in api.get("/api/v1/dashboard/")}
    assert shown == set(DASHBOARDS) - {NATIONAL_ONLY}
    figures = 0
    for dashboard, found in seen.items():
        for number, asked in found.asked.items():
            response = api.ask(asked)
            if dashboard == NATIONAL_ONLY:
                assert response.status_code == 403, names[number]
                continue
            assert response.status_code == 200, (names[number], response.text[:300])
            if names[number] not in OF_READERS:
                continue
            rows = answered(response.json())
            assert in_order(rows) == in_order(asked_directly(built, login, OF_READERS[names[number]]))
            assert {row["region_name"] for row in rows if "region_name" in row} <= regions
            assert len({row["directorate_name"] for row in rows if "directorate_name" in row}) <= 1
            figures += sum(isinstance(value, int | float) for row in rows for value in row.values())
    assert figures > 30


def test_what_is_exported_is_what_was_imported(started: StartedBi, built: Settings, tmp_path: Path) -> None:
    """And a change made by hand changes its file alone."""
    first, second = tmp_path / "first", tmp_path / "second"
    bi.export(built, first)
    assert files(first) == files(ASSETS)
    api = Api(started, bi.ADMIN)
    [number] = [each for each, name in api.charts("rollout").items() if name == "Who answers"]
    api.change_chart(number, description="Who answered, by day")
    bi.export(built, second)
    path = "charts/who_answers.yaml"
    assert {name for name, text in files(second).items() if files(first)[name] != text} == {path}
    before, after = (yaml.load((folder / path).read_text(), yaml.CSafeLoader) for folder in (first, second))
    assert after == before | {"description": "Who answered, by day"}


def test_logins_are_secrets_of_the_platform(started: StartedBi, built: Settings) -> None:
    for login in started.logins:
        assert (built.home / "secrets" / f"superset_{login}_password").stat().st_mode & 0o777 == 0o600
    assert len(set(started.logins.values())) == len(started.logins) == 13
    told = [bi.folder(built) / name for name in bi.TOLD]
    assert {path.stat().st_mode & 0o777 for path in told} == {0o600}
    log = bi.program_of(built).log_path.read_text()
    assert not any(password in log for password in started.logins.values())


@pytest.mark.soak
def test_a_user_without_a_login_to_the_warehouse_reads_nothing(
    started: StartedBi, built: Settings, seen: dict[str, Seen]
) -> None:
    admin = Api(started, bi.ADMIN)
    code = (
        "from superset.app import create_app\n"
        "with create_app().app_context():\n"
        "    from superset.extensions import security_manager as s\n"
        "    role = s.find_role('Admin')\n"
        "    s.add_user('nobody', 'No', 'Body', 'nobody@parc.invalid', role, password='a-password')\n"
    )
    bi.run(built, ["-c", code])
    asked = next(iter(seen["service-quality"].asked.values()))
    assert admin.ask(asked).status_code == 200
    refused = Api(replace(started, logins={"nobody": "a-password"}), "nobody").ask(asked)
    assert refused.status_code >= 400 and "needs exactly one role" in refused.text


def test_it_is_small(started: StartedBi, seen: dict[str, Seen], built: Settings) -> None:
    process = psutil.Process(bi.program_of(built).pid)
    used = sum(each.memory_full_info().pss for each in (process, *process.children(recursive=True)))
    print(f"\nSuperset: {used >> 20} MB")
    assert used < MOST_BYTES
    assert bi.start(built) == started, "it is left alone while nothing has changed"
    assert bi.program_of(built).pid == process.pid


@pytest.mark.soak
def test_each_directorate_in_a_browser(started: StartedBi, built: Settings) -> None:
    for login in sorted(started.logins.keys() - {bi.ADMIN, bi.NATIONAL}):
        with browser(started, login) as page:
            for name in sorted(set(DASHBOARDS) - {NATIONAL_ONLY}):
                assert open_dashboard(page, name, len(DASHBOARDS[name])).errors == [], (login, name)


def files(folder: Path) -> dict[str, str]:
    """The files of a folder by their path."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.yaml")}


def _documents(kind: str) -> list[dict[str, object]]:
    return [yaml.load(path.read_text(), yaml.CSafeLoader) for path in sorted((ASSETS / kind).glob("*.yaml"))]
