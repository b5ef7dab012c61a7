"""Four nights that go wrong, one after another on one platform: what is published, what BI sees, what the
switch keeps, what people read, and that the suggested remedy works."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from parc.feeds import FEEDS
from parc.host.client import Airflow
from parc.warehouse import connect, embedded
from support.running import WAIT_SECONDS, Platform, approval_request, runs, signed_in, started, wait

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

FIRST, LAST_GOOD = date(2012, 4, 16), date(2012, 4, 24)
WITHOUT_CALLS, WITHOUT_BOUTIQUES, BAD_DATA = (date(2012, 4, day) for day in (25, 26, 27))
FACTS = ("calls", "boutique_visits", "interventions")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Nine good days are loaded, built and released; the go-live of 25 April is still to come."""
    with started(tmp_path_factory.mktemp("nights") / "home", "up") as platform:
        simulated(platform, FIRST, LAST_GOOD)
        for feed in FEEDS:
            platform.parc("ingest", feed, "--from", str(FIRST), "--to", str(LAST_GOOD))
        for command in (
            ["build"],
            ["routing", "apply", "--bootstrap", "--date", str(LAST_GOOD - timedelta(days=1))],
        ):
            done = platform.parc(*command)
            assert done.returncode == 0, done.stderr
        yield platform


@pytest.fixture(scope="module")
def airflow(platform: Platform) -> Airflow:
    airflow = Airflow(platform.settings)
    airflow.wait_for_dags(
        {"build_marts", "export_routing", "ingest_late", *(f"ingest_{feed}" for feed in FACTS)}
    )
    return airflow


@pytest.fixture(scope="module")
def page(platform: Platform) -> Iterator[Any]:
    with signed_in(platform) as page:
        yield page


def simulated(platform: Platform, first: date, last: date, *faults: str) -> None:
    days = ("--from", str(first), "--to", str(last))
    done = platform.parc("simulate", *days, "--scale", "0.01", "--seed", "2012", "--faults", ",".join(faults))
    assert done.returncode == 0, done.stderr


def night(airflow: Airflow, day: date) -> dict[str, str]:
    """Load the facts of a night; returns how each feed's run ended."""
    begun = {feed: airflow.trigger(f"ingest_{feed}", first_date=str(day)) for feed in FACTS}
    return {feed: wait(airflow, f"ingest_{feed}", run_id) for feed, run_id in begun.items()}


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)
    return found


def after(airflow: Airflow, dag_id: str, act: Callable[[], Any]) -> dict[str, Any]:
    """The first run of a DAG that begins after `act`, when it has ended."""
    known = {run["dag_run_id"] for run in runs(airflow, dag_id)}
    act()

    def ended() -> dict[str, Any] | None:
        new = [run for run in runs(airflow, dag_id) if run["dag_run_id"] not in known]
        return new[0] if new and new[0]["state"] in ("success", "failed") else None

    return until(ended)


def built(platform: Platform) -> None:
    """Wait until everything published is built."""
    until(
        lambda: platform.sql(
            "select 1 from marts.published_build where not exists "
            "(select from ops.delivery where status = 'published' and built_in is null)"
        )
    )


def seen_by_bi(platform: Platform, mart: str) -> str:
    return platform.sql(f"select max(business_date)::text as day from marts.{mart}")[0]["day"]


def live(platform: Platform) -> str:
    [row] = platform.sql(
        "select version from ops.routing_release inner join ops.routing_release_event using (release_id) "
        "where event = 'activated' order by event_id desc limit 1"
    )
    assert platform.parc("routing", "verify").returncode == 0
    return row["version"]


def notice(platform: Platform, dag_id: str, run_id: str) -> str:
    query = f"select text from ops.notice where dag_id = '{dag_id}' and run_id = '{run_id}'"
    return until(lambda: platform.sql(query))[0]["text"]


def tasks(airflow: Airflow, run: dict[str, Any]) -> dict[str, str]:
    path = f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances"
    return {ti["task_id"]: ti["state"] for ti in airflow.call("GET", path)["task_instances"]}


def test_a_night_whose_calls_are_refused(platform: Platform, airflow: Airflow, page: Any) -> None:
    """The rest is published and built, BI keeps its calls, and the go-live of the 25th waits for approval."""
    simulated(platform, WITHOUT_CALLS, WITHOUT_CALLS, f"missing_column@calls:{WITHOUT_CALLS}")
    before = live(platform)
    assert night(airflow, WITHOUT_CALLS) == {
        "calls": "failed",
        "boutique_visits": "success",
        "interventions": "success",
    }
    built(platform)
    assert (seen_by_bi(platform, "fct_calls"), seen_by_bi(platform, "fct_boutique_visits")) == (
        str(LAST_GOOD),
        str(WITHOUT_CALLS),
    )
    [seen] = platform.sql("select missing from marts.published_build")
    assert ("calls", str(WITHOUT_CALLS)) in {(gap["feed"], gap["business_date"]) for gap in seen["missing"]}
    assert live(platform) == before

    [run] = runs(airflow, "ingest_calls")
    page.goto(f"/dags/ingest_calls/runs/{run['dag_run_id']}/tasks/report")
    page.get_by_text("lacks column").first.wait_for()
    page.screenshot(path=str(platform.home / "refused.png"))
    reported = notice(platform, "ingest_calls", run["dag_run_id"])
    assert "lacks column" in reported and f"parc ingest calls --date {WITHOUT_CALLS}" in reported
    page.goto("/plugin/parc")
    desk = page.frame_locator("iframe")
    desk.get_by_text(f"calls {WITHOUT_CALLS}").first.wait_for()
    page.screenshot(path=str(platform.home / "desk.png"), full_page=True)


def test_the_go_live_is_approved_in_the_browser(platform: Platform, airflow: Airflow, page: Any) -> None:
    """Someone reads the plan and approves it under Required Actions; then the switch has it."""
    before = live(platform)
    run = until(lambda: [run for run in runs(airflow, "export_routing") if run["state"] == "running"])[0]
    approval_request(platform, airflow, run["dag_run_id"])
    page.goto(f"/dags/export_routing/runs/{run['dag_run_id']}/tasks/approve/required_actions")
    page.get_by_text("Predicted load").first.wait_for()
    page.screenshot(path=str(platform.home / "approval.png"), full_page=True)
    page.get_by_role("button", name="Approve").click()
    assert wait(airflow, "export_routing", run["dag_run_id"]) == "success"
    assert live(platform) != before
    [release] = platform.sql(
        "select approved_by, requested_by from ops.routing_release order by release_id desc limit 1"
    )
    assert (release["approved_by"], release["requested_by"]) == ("admin", "export_routing")


def test_the_refused_calls_are_sent_again(platform: Platform, airflow: Airflow) -> None:
    """`ingest_late` finds them, and the next build only recomputes the days that depend on them."""
    simulated(platform, WITHOUT_CALLS, WITHOUT_CALLS)
    run = after(airflow, "build_marts", lambda: airflow.trigger("ingest_late", first_date=str(WITHOUT_CALLS)))
    assert run["state"] == "success"
    assert seen_by_bi(platform, "fct_calls") == str(WITHOUT_CALLS)
    assert platform.sql(
        "select business_date::text as day from ops.build_date where feed = 'calls' "
        "and build_id = (select max(build_id) from ops.build) order by 1"
    ) == [{"day": str(WITHOUT_CALLS)}]
    assert platform.sql("select * from intermediate.int_missing_deliveries where feed = 'calls'") == []


def test_a_night_without_boutiques(platform: Platform, airflow: Airflow, page: Any) -> None:
    """Calls and jobs are built without them, and this is reported."""
    simulated(platform, WITHOUT_BOUTIQUES, WITHOUT_BOUTIQUES, f"missing@boutique_visits:{WITHOUT_BOUTIQUES}")
    before = live(platform)
    assert night(airflow, WITHOUT_BOUTIQUES) == {
        "calls": "success",
        "boutique_visits": "failed",
        "interventions": "success",
    }
    built(platform)
    assert (seen_by_bi(platform, "fct_calls"), seen_by_bi(platform, "fct_boutique_visits")) == (
        str(WITHOUT_BOUTIQUES),
        str(WITHOUT_CALLS),
    )
    gap = f"feed = 'boutique_visits' and business_date = '{WITHOUT_BOUTIQUES}'"
    assert platform.sql(f"select status from marts.mart_feed_health where {gap}") == [{"status": "missing"}]
    assert live(platform) == before
    [run] = [run for run in runs(airflow, "ingest_boutique_visits") if run["state"] == "failed"]
    assert "nothing was delivered" in notice(platform, "ingest_boutique_visits", run["dag_run_id"])
    done = platform.parc("doctor")
    assert done.returncode != 0 and f"boutique_visits {WITHOUT_BOUTIQUES}" in done.stdout
    [made] = platform.sql(
        "select run_id from ops.airflow_run where build_id = (select max(build_id) from ops.build)"
    )
    page.goto(f"/dags/build_marts/runs/{made['run_id']}/tasks/build_marts")
    page.get_by_text(f"boutique_visits {WITHOUT_BOUTIQUES}").first.wait_for()
    page.screenshot(path=str(platform.home / "without.png"))


def test_a_night_whose_build_fails_a_test(platform: Platform, airflow: Airflow, page: Any) -> None:
    """A leg unknown to the ledger: the build names the test and its rows; BI and the switch do not change."""
    simulated(platform, BAD_DATA, BAD_DATA)
    before = (seen_by_bi(platform, "fct_calls"), live(platform))
    airflow.pause("build_marts", True)
    assert set(night(airflow, BAD_DATA).values()) == {"success"}
    with connect(platform.settings, "loader") as connection:
        connection.execute(
            "insert into raw.calls select * from raw.calls where business_date = %s limit 3", [BAD_DATA]
        )
    airflow.pause("build_marts", False)
    run_id = airflow.trigger("build_marts")
    assert wait(airflow, "build_marts", run_id) == "failed"
    assert (seen_by_bi(platform, "fct_calls"), live(platform)) == before
    reported = notice(platform, "build_marts", run_id)
    assert "legs_add_up_to_the_ledger" in reported and str(BAD_DATA) in reported and "parc build" in reported
    page.goto(f"/dags/build_marts/runs/{run_id}/plugin/models")
    models = page.frame_locator("iframe")
    models.get_by_text("legs_add_up_to_the_ledger").first.wait_for()
    page.screenshot(path=str(platform.home / "models.png"), full_page=True)

    # Only the calls are sent again, with other bytes: new references would be a release to approve.
    elsewhere = platform.home / "sent_again"
    done = platform.parc(
        "simulate",
        "--from",
        str(BAD_DATA),
        "--to",
        str(BAD_DATA),
        "--scale",
        "0.0101",
        "--seed",
        "2012",
        "--out",
        str(elsewhere),
    )
    assert done.returncode == 0, done.stderr
    day = f"calls/date={BAD_DATA}"
    shutil.rmtree(platform.home / "landing" / day)
    shutil.copytree(elsewhere / day, platform.home / "landing" / day)
    run = after(airflow, "build_marts", lambda: airflow.trigger("ingest_late", first_date=str(BAD_DATA)))
    assert run["state"] == "success"
    assert seen_by_bi(platform, "fct_calls") == str(BAD_DATA)


def test_a_night_whose_release_overloads_a_site(platform: Platform, airflow: Airflow, page: Any) -> None:
    """A go-live for which Rennes has nobody on the phone is refused by name; the switch keeps its table."""
    # A release of the night before that still plans would find the table of the rollback.
    until(lambda: all(run["state"] in ("success", "failed") for run in airflow.runs("export_routing")))
    for command in (["rollback"], ["release-hold"]):
        assert platform.parc("routing", *command).returncode == 0
    before = live(platform)
    with connect(platform.settings, "transformer") as connection:
        connection.execute(
            "update marts.routing_site_positions set position_count = 0 where site_code = 'RENNES'"
        )
    run_id = airflow.trigger("export_routing")
    assert wait(airflow, "export_routing", run_id) == "failed"
    assert live(platform) == before
    reported = notice(platform, "export_routing", run_id)
    assert "rule 6" in reported and "RENNES" in reported and "Mon" in reported
    page.goto(f"/dags/export_routing/runs/{run_id}/tasks/plan_release")
    page.get_by_text("rule 6").first.wait_for()
    page.screenshot(path=str(platform.home / "overloaded.png"))
    # It may be retried there: a run is cleared, and goes to the same end.
    airflow.call("POST", f"/dags/export_routing/dagRuns/{run_id}/clear", json={"dry_run": False})
    assert wait(airflow, "export_routing", run_id) == "failed"


def test_an_approval_of_a_stale_plan_is_refused(platform: Platform, airflow: Airflow, page: Any) -> None:
    """The switch changes while a plan waits: the answer is too late, and the message says what to do."""
    with connect(platform.settings, "transformer") as connection:
        connection.execute(
            "update marts.routing_site_positions set position_count = 174 where site_code = 'RENNES'"
        )
    run_id = airflow.trigger("export_routing")
    detail = approval_request(platform, airflow, run_id)
    assert platform.parc("routing", "emergency", "national", "--reason", "a storm").returncode == 0
    assert platform.parc("routing", "release-hold").returncode == 0
    before = live(platform)
    airflow.approve(detail)
    assert wait(airflow, "export_routing", run_id) == "failed"
    assert live(platform) == before
    assert "the live table changed" in notice(platform, "export_routing", run_id)


def test_edited_xcoms_and_states_approve_nothing(platform: Platform, airflow: Airflow) -> None:
    """The answer is forged and its task marked as done: the release still waits for a person."""
    run_id = airflow.trigger("export_routing")
    approval_request(platform, airflow, run_id)
    before = live(platform)
    task = f"/dags/export_routing/dagRuns/{run_id}/taskInstances/approve"
    answer = {"chosen_options": ["Approve"], "responded_by_user": {"id": "1", "name": "The Director"}}
    airflow.call(
        "POST", f"{task}/xcomEntries", json={"key": "return_value", "value": answer, "map_index": -1}
    )
    airflow.call("PATCH", task, json={"new_state": "success"})
    assert wait(airflow, "export_routing", run_id) == "failed"
    assert live(platform) == before
    assert platform.sql("select 1 from ops.routing_release where approved_by = 'The Director'") == []


def test_postgresql_stops_and_restarts(platform: Platform, airflow: Airflow) -> None:
    """The database is stopped during the night: the command says so, and unfinished work is repeated."""
    embedded.stop(platform.settings)
    done = platform.parc("nightly", "--date", str(BAD_DATA))
    assert done.returncode == 3 and "parc up" in done.stderr
    assert platform.parc("up").returncode == 0
    assert platform.parc("doctor").returncode in (0, 3)
