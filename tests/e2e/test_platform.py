"""The whole platform as started by `make run`: Airflow does the work, and a browser inspects it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from parc.host.client import Airflow
from parc.settings import PROJECT
from support import charts
from support.running import WAIT_SECONDS, Platform, approval_request, runs, signed_in, started, wait

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("demo")
    users = folder / "users.csv"
    users.write_text("name,role\nvera,viewer\nemil,engineer\nanna,approver\nadam,admin\n")
    approvers = "anna, admin"
    with started(
        folder / "home", "demo", PARC_AIRFLOW_USERS=str(users), PARC_APPROVERS=approvers
    ) as platform:
        yield platform


@pytest.fixture(scope="module")
def airflow(platform: Platform) -> Airflow:
    """The running Airflow's API."""
    return Airflow(platform.settings)


@pytest.fixture(scope="module")
def browser_page(platform: Platform) -> Iterator[Any]:
    """The Airflow UI, logged in."""
    with signed_in(platform) as page:
        yield page


@pytest.fixture
def page(browser_page: Any) -> Iterator[Any]:
    """The same; empty once the test is over, because an open page goes on asking and drawing."""
    yield browser_page
    browser_page.goto("about:blank")


def test_every_delivery_was_published_and_built(platform: Platform) -> None:
    assert platform.sql(
        "select count(*) as days, min(business_date)::text as first, max(business_date)::text as last, "
        "count(built_in) as built from ops.delivery where feed = 'calls' and status = 'published'"
    ) == [{"days": 14, "first": "2012-04-16", "last": "2012-04-29", "built": 14}]
    assert platform.sql(
        "select sum(rows_read - rows_published - rows_quarantined) as lost from ops.delivery"
    ) == [{"lost": 0}]


def test_faulty_deliveries_ended_as_promised(platform: Platform) -> None:
    """The demonstration's six faults, in the health of the feeds."""
    health = platform.sql(
        "select feed, business_date::text as day, status, refused_count, restatement_count, "
        "rows_quarantined, warning_count from marts.mart_feed_health "
        "where feed in ('calls', 'boutique_visits', 'interventions') "
        "and (refused_count + restatement_count + rows_quarantined + warning_count) > 0 order by 1, 2"
    )
    assert {(row["feed"], row["day"]) for row in health} == {
        ("calls", "2012-04-18"),
        ("interventions", "2012-04-19"),
        ("boutique_visits", "2012-04-20"),
        ("interventions", "2012-04-23"),
        ("calls", "2012-04-24"),
    }
    assert {row["status"] for row in health} == {"published"}
    assert [row["day"] for row in health if row["refused_count"]] == ["2012-04-23"]
    assert [row["day"] for row in health if row["restatement_count"]] == ["2012-04-24"]
    reported = json.loads((platform.home / "landing" / "faults.json").read_text())
    assert sum(row["rows_quarantined"] for row in health) == sum(
        record["rows_quarantined"] or 0 for record in reported
    )
    assert platform.sql("select * from intermediate.int_missing_deliveries") == []


def test_shops_sites_and_units_are_in_one_mart(platform: Platform) -> None:
    rows = platform.sql(
        "select directorate_code, offered_count, site_stock, visit_count, open_boutique_stock, done_count, "
        "unit_stock from marts.mart_directorate_scorecard_daily where business_date = '2012-04-27' "
        "and directorate_code <> 'unknown'"
    )
    assert len(rows) == 11
    for row in rows:
        assert all(float(row[column]) > 0 for column in row if column != "directorate_code"), row


def test_many_deliveries_cause_few_builds(platform: Platform) -> None:
    [row] = platform.sql("select count(*) as builds from ops.build where status = 'published'")
    assert 1 <= row["builds"] <= 8


def test_bretagne_is_observed_live_since_25_april(platform: Platform) -> None:
    assert platform.sql(
        "select market, observed_go_live_date::text as since, status from marts.mart_parc_rollout_daily "
        "where region_code = '53' and business_date = '2012-04-29' order by market"
    ) == [
        {"market": "fixe", "since": "2012-04-25", "status": "live"},
        {"market": "internet", "since": "2012-04-25", "status": "live"},
        {"market": "open", "since": None, "status": "planned"},
    ]


def test_one_final_week_claims_no_effect(platform: Platform) -> None:
    rows = platform.sql("select status, estimate from marts.mart_parc_effect where effect_kind = 'simple'")
    assert rows == [{"status": "not identified", "estimate": None}] * 18


def test_the_releases_were_approved_by_name(platform: Platform) -> None:
    releases = platform.sql(
        "select kind, business_date::text as day, approved_by from ops.routing_release order by release_id"
    )
    assert [(row["kind"], row["day"]) for row in releases] == [
        ("bootstrap", "2012-04-23"),
        ("release", "2012-04-29"),
    ]
    assert all(row["approved_by"] for row in releases)
    assert platform.parc("routing", "verify").returncode == 0


def test_doctor_finds_nothing(platform: Platform) -> None:
    done = platform.parc("doctor")
    assert done.returncode == 0, done.stdout


def test_nothing_listens_beyond_loopback(platform: Platform) -> None:
    import psutil

    pids = {row["pid"] for row in json.loads(platform.parc("status", "--json").stdout)["processes"]}
    processes = [psutil.Process(pid) for pid in pids]
    family = {child.pid for process in processes for child in process.children(recursive=True)} | pids
    postmaster = int((platform.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    listening = [
        connection.laddr
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.pid in family | {postmaster}
    ]
    assert len(listening) >= 2
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_the_ui_shows_the_dags_green(platform: Platform, airflow: Airflow, page) -> None:
    page.goto("/dags")
    for dag_id in ("ingest_calls", "build_marts", "export_routing"):
        page.get_by_role("link", name=dag_id).first.wait_for()
        states = [wait(airflow, dag_id, run["dag_run_id"]) for run in runs(airflow, dag_id)]
        assert set(states) == {"success"}, (dag_id, states)
    page.screenshot(path=str(platform.home / "dags.png"))


def test_no_run_waits_for_the_clock(airflow: Airflow) -> None:
    """Its nights are of 2012: tomorrow morning it must be as green as today."""
    found = airflow.call("GET", "/dags")["dags"]
    assert len(found) > 10
    assert {dag["next_dagrun_run_after"] for dag in found} == {None}


def test_the_ui_shows_refused_and_missing_deliveries(platform: Platform, airflow: Airflow, page) -> None:
    for feed, text in (
        ("interventions", "lacks column `kind`"),
        ("boutique_visits", "boutique_visits 2012-04-24: nothing was delivered"),
    ):
        first, second = runs(airflow, f"ingest_{feed}")
        assert (first["state"], second["state"]) == ("failed", "success")
        page.goto(f"/dags/ingest_{feed}/runs/{first['dag_run_id']}/tasks/report")
        page.get_by_text(text).first.wait_for()
    page.screenshot(path=str(platform.home / "late.png"))


@pytest.mark.soak
def test_a_day_is_run_again_from_the_ui(platform: Platform, airflow: Airflow, page) -> None:
    """A refused delivery fails its run and says why; after a new delivery the day is loaded and built."""
    landing = platform.home / "landing"
    folder = landing / "calls" / "date=2012-04-30"
    folder.mkdir(parents=True)
    (folder / "calls.csv").write_text("call_id,leg_no,who\nA,1,me\n")
    run_id = trigger(page, airflow, "2012-04-30")
    assert wait(airflow, "ingest_calls", run_id) == "failed"
    page.goto(f"/dags/ingest_calls/runs/{run_id}/tasks/report")
    page.get_by_text("unknown column `who`").first.wait_for()
    page.screenshot(path=str(platform.home / "refused.png"))
    [refused] = platform.sql("select reason from ops.delivery where status = 'refused' and feed = 'calls'")
    assert "`who`" in refused["reason"]

    shutil.rmtree(folder)
    done = platform.parc(
        "simulate", "--from", "2012-04-30", "--to", "2012-04-30", "--scale", "0.03", "--seed", "2012"
    )
    assert done.returncode == 0, done.stderr
    assert wait(airflow, "ingest_calls", trigger(page, airflow, "2012-04-30")) == "success"
    query = "select count(*) as n from marts.fct_calls where business_date = '2012-04-30'"
    deadline = time.monotonic() + WAIT_SECONDS
    while platform.sql(query) == [{"n": 0}] and time.monotonic() < deadline:
        time.sleep(1)
    assert platform.sql(query)[0]["n"] > 1000


def trigger(page, airflow: Airflow, day: str) -> str:
    """Trigger `ingest_calls` for one day in the form; returns the run's id."""
    before = {run["dag_run_id"] for run in runs(airflow, "ingest_calls")}
    page.goto("/dags/ingest_calls")
    page.get_by_role("button", name="Trigger").first.click()
    page.locator("#element_first_date").fill(day)
    page.get_by_role("dialog").get_by_role("button", name="Trigger").click()
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        new = {run["dag_run_id"] for run in runs(airflow, "ingest_calls")} - before
        if new:
            return new.pop()
        time.sleep(0.3)
    raise AssertionError("the form started no run")


def test_the_desk_is_in_the_ui(platform: Platform, airflow: Airflow, page) -> None:
    """From the navigation to the details of a build and a load, and only for logged-in users."""
    assert httpx.get(f"{airflow.address}/parc/").status_code == 401
    assert page.request.get("/parc/docs/..%2Fsecrets%2Fpseudonym_secret").status == 404
    refused_by_browser = []
    page.on("console", lambda line: refused_by_browser.append(line.text) if "Policy" in line.text else None)
    frame = page.frame_locator("iframe")
    page.goto("/dags")
    page.get_by_role("link", name="PARC desk").click()
    frame.get_by_role("heading", name="The last nights").wait_for()
    assert frame.locator("a.night").count() > 30
    page.screenshot(path=str(platform.home / "desk.png"))
    frame.get_by_role("link", name="calls 2012-04-18: published").click()
    frame.get_by_role("heading", name="Rows in quarantine").wait_for()

    [row] = platform.sql("select dag_id, run_id from ops.airflow_run where build_id = 1")
    page.goto(f"/dags/{row['dag_id']}/runs/{quote(row['run_id'])}")
    page.get_by_role("link", name="Models").click()
    frame.get_by_text("fct_calls", exact=True).first.wait_for()
    page.screenshot(path=str(platform.home / "models.png"))

    [row] = platform.sql(
        "select run_id from ops.airflow_run inner join ops.delivery using (delivery_id) "
        "where feed = 'interventions' and status = 'refused'"
    )
    page.goto(f"/dags/ingest_interventions/runs/{quote(row['run_id'])}")
    page.get_by_role("link", name="Deliveries").click()
    frame.get_by_text("lacks column `kind`").wait_for()
    frame.get_by_role("link", name="Data Docs", exact=True).last.click()
    frame.get_by_role("heading", name="Expectations").wait_for()
    assert refused_by_browser == []

    page.goto("/plugin/parc")
    frame.locator("th a", has_text="calls").first.click()
    page.wait_for_url("**/dags/ingest_calls")


def test_the_figures_are_drawn_and_equal_the_marts(platform: Platform, airflow: Airflow, page) -> None:
    """A mark for each row of the mart, in light and dark; only for logged-in users."""
    for path in ("rollout", "rollout/map.csv", "regions/53", "directorates/OUEST/waits.csv"):
        assert httpx.get(f"{airflow.address}/parc/{path}").status_code == 401
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        looked = charts.look(page, "/parc/rollout")
        assert (looked.complaints, looked.violations) == ([], []), scheme
        for path in ("regions/53", "regions/53?step=week", "directorates/OUEST?market=fixe"):
            area = charts.look(page, f"/parc/{path}")
            assert (area.complaints, area.violations) == ([], []), (scheme, path)
    page.emulate_media(color_scheme=None)

    live = platform.sql(
        "select region_code from marts.mart_parc_rollout where market = 'fixe' and status = 'live' order by 1"
    )
    [planned] = platform.sql(
        "select count(*) as n, count(observed_go_live_date) as seen from marts.mart_parc_rollout "
        "where market = 'fixe' and wave is not null"
    )
    [weeks] = platform.sql("select count(*) as n from marts.mart_service_quality_nation_market_weekly")
    [days] = platform.sql(
        "select count(*) as n, count(satisfaction) as surveyed from marts.mart_service_quality_region_daily "
        "where region_code = '53'"
    )
    page.goto("/parc/rollout")
    coloured = page.locator(".tiles a.live").evaluate_all("found => found.map((each) => each.dataset.region)")
    assert sorted(coloured) == [row["region_code"] for row in live]
    assert {row["region_code"] for row in live} >= {"52", "53"}
    assert (looked.marks("waves", "tick"), looked.marks("waves", "circle")) == (planned["n"], planned["seen"])
    assert looked.marks("answers", "rect mark") == 6 * weeks["n"] / 3
    region = charts.look(page, "/parc/regions/53")
    assert region.marks("service_level", "circle") == days["n"] == 14
    assert region.marks("satisfaction", "circle") == days["surveyed"]
    assert region.marks("waits", "circle") == 2 * days["n"]

    page.goto("/dags")
    page.get_by_role("link", name="PARC rollout").click()
    frame = page.frame_locator("iframe")
    frame.locator("#answers .chart[data-drawn]").wait_for()
    page.screenshot(path=str(platform.home / "rollout.png"))
    frame.locator("a[data-region='53']").click()
    frame.get_by_role("heading", name="Bretagne", level=1).wait_for()


def test_a_go_live_is_approved_in_the_browser(platform: Platform, airflow: Airflow, page) -> None:
    """After a rollback it is planned again; someone reads it and approves it under Required Actions."""
    before = platform.sql("select count(*) as n from ops.routing_release")[0]["n"]
    for command in ("rollback", "release-hold"):
        assert platform.parc("routing", command).returncode == 0
    run_id = airflow.trigger("export_routing", business_date="2012-04-29")
    approval_request(platform, airflow, run_id)
    page.goto(f"/dags/export_routing/runs/{run_id}/tasks/approve/required_actions")
    page.get_by_text("Predicted load").first.wait_for()
    page.screenshot(path=str(platform.home / "approval.png"), full_page=True)
    page.get_by_role("button", name="Approve").click()
    assert wait(airflow, "export_routing", run_id) == "success"
    releases = platform.sql("select kind, approved_by from ops.routing_release order by release_id")[before:]
    assert [(each["kind"], each["approved_by"]) for each in releases] == [
        ("rollback", None),
        ("release", "admin"),
    ]
    assert platform.parc("routing", "verify").returncode == 0


def test_named_users_have_the_rights_of_their_roles(platform: Platform, airflow: Airflow) -> None:
    """Each logs in over HTTP: a viewer sees, an engineer runs, an approver of PARC_APPROVERS answers."""
    logins = {name: Airflow(platform.settings, name) for name in ("vera", "emil", "anna", "adam")}
    run = {"logical_date": None, "conf": {"business_date": "2012-04-29"}}
    for command in ("rollback", "release-hold"):
        assert platform.parc("routing", command).returncode == 0
    assert {
        name: status(user, "POST", "/dags/export_routing/dagRuns", run)
        for name, user in logins.items()
        if name != "adam"
    } == {"vera": 403, "emil": 200, "anna": 403}
    run_id = runs(airflow, "export_routing")[-1]["dag_run_id"]
    question = approval_request(platform, airflow, run_id)
    place = f"/dags/export_routing/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    answer = {"chosen_options": ["Approve"], "params_input": {}}
    again = {"dag_run_id": run_id, "task_ids": ["approve"], "only_failed": False, "dry_run": False}
    reported = {
        name: [
            status(user, "GET", "/dags/export_routing"),
            status(user, "POST", "/dags/export_routing/clearTaskInstances", again | {"dry_run": True}),
            status(user, "PATCH", "/dags/export_routing", {"is_paused": False}),
            status(user, "GET", "/variables"),
        ]
        for name, user in logins.items()
    }
    assert reported == {
        "vera": [200, 403, 403, 403],
        "emil": [200, 200, 200, 403],
        "anna": [200, 403, 403, 403],
        "adam": [200, 200, 200, 200],
    }
    finding = {"verdict": "dismissed", "reason": "a holiday"}
    answered = {
        name: user.http.post(
            "/parc/findings/00000000", data=finding, headers={"Sec-Fetch-Site": "same-origin"}
        ).status_code
        for name, user in logins.items()
    }
    assert answered == {"vera": 403, "emil": 404, "anna": 403, "adam": 404}  # 404: there is no such finding
    refused = {name: status(logins[name], "PATCH", place, answer) for name in ("vera", "emil", "adam")}
    assert set(refused.values()) == {403}
    logins["anna"].approve(question)
    assert wait(airflow, "export_routing", run_id) == "success"
    assert platform.sql(
        "select requested_by, approved_by from ops.routing_release order by release_id desc limit 1"
    ) == [{"requested_by": "emil", "approved_by": "anna"}]


def status(airflow: Airflow, method: str, path: str, body: dict[str, Any] | None = None) -> int:
    """How Airflow answers a request of this login."""
    return airflow.http.request(method, f"/api/v2{path}", json=body).status_code


def test_failed_logins_are_delayed(airflow: Airflow) -> None:
    login = {"username": "vera", "password": "a guess"}
    reported = [httpx.post(f"{airflow.address}/auth/token", json=login) for _ in range(6)]
    assert [answer.status_code for answer in reported] == [401] * 5 + [429]
    assert int(reported[-1].headers["retry-after"]) >= 1


def test_resumes_after_stop(platform: Platform) -> None:
    before = platform.sql("select count(*) as n from ops.delivery")
    assert platform.parc("stop").returncode == 0
    done = platform.parc("demo")
    assert done.returncode == 0, done.stderr
    assert platform.sql("select count(*) as n from ops.delivery") == before
    assert "Simulate" not in done.stdout


def test_checkout_is_untouched() -> None:
    done = subprocess.run(
        ["git", "status", "--porcelain", "--", "dbt_project", "plugins", "dags"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "target" not in done.stdout and "logs" not in done.stdout
