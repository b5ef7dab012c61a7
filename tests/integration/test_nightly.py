"""Nights without Airflow, one after another: killed, refused, missing, failed, drifted, awaiting approval."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from parc import desk, nightly, routing
from parc.errors import Busy
from parc.findings import Finding, FindingKind
from parc.ledger import locks
from parc.loading import ingest
from parc.nightly import NightRun
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from parc.warehouse import connect
from support.command_line import environment, parc
from support.printed import run_printed

FIRST, SECOND, THIRD = date(2012, 4, 16), date(2012, 4, 17), date(2012, 4, 18)
EVE = date(2012, 4, 24)  # of a go-live: a person must agree to its release
SCALE, SEED = 0.002, 5
DAILY = {"calls", "boutique_visits", "interventions"}


@pytest.fixture(scope="module")
def platform(module_warehouse: Settings) -> Iterator[Settings]:
    """Three small days in the landing zone: the calls of the second day lack a column, its visits are
    missing; good versions of both wait beside the landing zone."""
    simulate(FIRST, THIRD, scale=SCALE, seed=SEED, out=module_warehouse.landing)
    for feed in ("calls", "boutique_visits"):
        shutil.move(landed(module_warehouse, feed), beside(module_warehouse, feed))
    [whole] = beside(module_warehouse, "calls").glob("*.csv.gz")
    landed(module_warehouse, "calls").mkdir()
    faulty = landed(module_warehouse, "calls") / "calls.csv"
    pl.read_csv(whole, infer_schema=False).drop("market").write_csv(faulty)
    os.utime(faulty, (1e9, 1e9))  # nobody writes to it any more
    yield module_warehouse


def landed(settings: Settings, feed: str) -> Path:
    return Path(settings.landing, feed, f"date={SECOND}")


def beside(settings: Settings, feed: str) -> Path:
    return Path(settings.landing).with_name(f"{feed} of the second")


def send(settings: Settings, feed: str) -> None:
    shutil.rmtree(landed(settings, feed), ignore_errors=True)
    shutil.copytree(beside(settings, feed), landed(settings, feed))


def value(settings: Settings, query: str) -> object:
    with connect(settings, "reader") as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def became(night: NightRun) -> dict[str, str]:
    """Deliveries of the night's own date by feed: their states."""
    return {
        outcome.feed: outcome.status
        for outcome in night.outcomes
        if outcome.business_date == night.business_date
    }


def finding(night: NightRun, kind: str) -> Finding:
    [found] = [each for each in night.findings if each.kind == kind]
    return found


def without(found: Finding, word: str) -> Finding:
    """A finding without the steps that begin with a word: what they depend on is not so here."""
    return replace(found, steps=tuple(step for step in found.steps if not step.label.startswith(word)))


def test_killed_in_the_middle_and_run_again(platform: Settings) -> None:
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("parc")), "nightly", "--date", str(FIRST)],
        env=os.environ | environment(platform),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while value(platform, "select count(*) from ops.build where status = 'running'") == 0:
        assert process.poll() is None, "it ended before it built"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    [dead] = [each for each in desk.findings(platform) if each.kind == "build failed"]
    assert (dead.text.split(";")[0], dead.command) == ("its process ended before it did", "parc build")

    night = nightly.run(platform, FIRST)
    assert {feed: status for feed, status in became(night).items() if feed in DAILY} == dict.fromkeys(
        DAILY, "unchanged"
    )
    assert night.build and night.build.build_id and night.bi.endswith(f"calls up to {FIRST}")
    assert (night.exit_code, night.switch) == (7, "none: the switch is empty")
    assert night.plan is not None
    waiting = finding(night, "waiting")
    assert waiting.command.endswith(f"parc routing apply --date {FIRST} --approve {night.plan.plan_hash}")
    assert night.findings == [waiting]


def test_approved_and_run_again_is_a_no_op(platform: Settings) -> None:
    plan = routing.plan(platform, FIRST)
    routing.apply(
        platform, FIRST, requested_by="Paul", reason="first", approve=plan.plan_hash, approved_by="Anne"
    )
    steps: list[nightly.NightStep] = []
    night = nightly.run(platform, FIRST, progress=steps.append)
    assert night.exit_code == 0 and night.findings == []
    assert [step for step in steps if step.state != "running"] == night.steps
    assert {step.state for step in night.steps if step.name != "check switch"} == {"unchanged"}
    assert night.build is not None and night.build.build_id is None
    assert "approved by Anne, run by nightly" in night.switch, (
        "the night asked for this plan, not who carried it out"
    )
    json.dumps(night.to_json(), default=str)


def test_two_at_once(platform: Settings) -> None:
    with (
        connect(platform, "maintenance", autocommit=True) as connection,
        locks.held(connection, locks.NIGHT, ""),
        pytest.raises(Busy, match="another `parc nightly` is running"),
    ):
        nightly.run(platform, FIRST)


def test_refused_and_missing_deliveries_block_nothing(platform: Settings) -> None:
    night = nightly.run(platform, SECOND)
    assert became(night) == {
        "calls": "refused",
        "boutique_visits": "missing",
        "interventions": "published",
    }
    assert night.exit_code == 4
    assert night.build and night.build.build_id
    build_id = night.build.build_id
    assert {(gap["feed"], gap["status"]) for gap in night.build.missing} == {
        ("calls", "refused"),
        ("boutique_visits", "missing"),
    }
    refused, missing = finding(night, "refused"), finding(night, "missing")
    assert refused.is_wrong and "lacks column `market`" in refused.text
    assert refused.text.endswith(f"; build {build_id} was published without it")
    assert refused.command == f"have it sent again, then parc ingest calls --date {SECOND}, then parc build"
    assert missing.text.startswith("due since 2012-04-18 04:00 Paris, has not arrived; ")
    assert missing.text.endswith(f"; build {build_id} was published without it")
    load = f"parc ingest boutique_visits --date {SECOND}"
    assert missing.command == f"have it sent, then {load}, then parc build"


def test_a_refused_delivery_is_not_read_again_while_its_files_are_unchanged(platform: Settings) -> None:
    deliveries = value(platform, "select count(*) from ops.delivery")
    builds = value(platform, "select count(*) from ops.build")
    done = parc(platform, "nightly", "--date", str(SECOND))
    assert done.returncode == 4, done.stdout + done.stderr
    assert re.search(rf"wrong +\d\.\d s  ingest +calls {SECOND}: refused before", done.stdout)
    assert re.search(rf"refused +calls {SECOND}\n +missing +boutique_visits {SECOND}\n", done.stdout)
    assert f"parc ingest calls --date {SECOND}" in done.stdout
    assert value(platform, "select count(*) from ops.delivery") == deliveries
    assert value(platform, "select count(*) from ops.build") == builds


def test_a_build_that_fails_then_drift_then_all_well(platform: Settings, tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "dbt_project", tmp_path / "dbt_project")
    shutil.copytree(PROJECT / "expectations", tmp_path / "expectations")
    (tmp_path / "dbt_project/tests/no_call_is_answered.sql").write_text(
        "select call_id from {{ ref('fct_calls') }} where is_answered"
    )
    send(platform, "calls")
    prefixes = next(Path(platform.switch).glob("releases/*/prefixes.csv"))
    intact = prefixes.read_text()
    prefixes.write_text(intact + "0299999,53\n")

    night = nightly.run(replace(platform, project=tmp_path), THIRD)
    assert became(night) == dict.fromkeys(DAILY, "published")
    late = [each for each in night.with_status("published") if each.business_date == SECOND]
    assert [each.feed for each in late] == ["calls"]
    assert night.exit_code == 5  # before the drift's 6
    failed = finding(night, "build failed")
    assert failed.text.startswith("no_call_is_answered failed") and failed.command.endswith("parc build")
    assert night.bi.endswith(f"calls up to {FIRST}")

    run_printed(platform, FindingKind.BUILD_FAILED, found=[without(failed, "withdraw")])
    night = nightly.run(platform, THIRD)
    assert night.exit_code == 6
    drift = finding(night, "drift")
    version = value(platform, "select max(version) from ops.routing_release")
    assert drift.text.startswith(f"{version} is expected, ") and "--drift overwrite" in drift.command
    assert f"--date {THIRD}" in drift.command

    prefixes.write_text(intact)
    send(platform, "boutique_visits")
    ingest(platform, "boutique_visits", SECOND)
    with connect(platform, "admin") as connection:
        connection.execute("update ops.seed_version set sha256 = 'as it was' where seed = 'sites'")
    found = desk.findings(platform)
    run_printed(platform, FindingKind.NOT_BUILT, found=found)
    run_printed(platform, FindingKind.SEEDS, found=found)
    night = nightly.run(platform, THIRD)
    assert (night.exit_code, night.findings) == (0, [])
    assert night.bi.endswith(f"calls up to {THIRD}")


def test_missing_deliveries_do_not_block_an_approved_go_live(platform: Settings) -> None:
    done = parc(platform, "nightly", "--date", str(EVE))
    assert done.returncode == 7, done.stdout + done.stderr
    assert "Going live\n  52 fixe\n" in done.stdout
    [command] = re.findall(
        r"approve and release it: (parc routing apply .*--approve \w+)$", done.stdout, re.MULTILINE
    )
    applied = parc(platform, *shlex.split(command)[1:])
    assert applied.returncode == 0, applied.stderr
    [again] = [step for step in nightly.run(platform, FIRST).steps if step.name == "plan release"]
    assert again.state == "unchanged"  # an old night does not take the switch back


def test_json_holds_everything(platform: Settings) -> None:
    done = parc(platform, "nightly", "--date", str(EVE), "--json")
    reported = json.loads(done.stdout)
    assert (done.returncode, reported["exit_code"]) == (4, 4)  # that night's deliveries have not arrived
    assert {"steps", "deliveries", "build", "bi", "plan", "switch", "findings"} <= set(reported)
    assert {each["status"] for each in reported["deliveries"]} == {"missing"}


def test_the_warehouse_is_lost(platform: Settings) -> None:
    done = parc(platform, "nightly", "--date", str(EVE), PARC_WAREHOUSE_DSN="postgresql://x@127.0.0.1:1/x")
    assert done.returncode == 3
    assert "127.0.0.1:1/x cannot be reached" in done.stderr and "Traceback" not in done.stderr


def test_after_a_sunday_the_weekly_pages_are_written(platform: Settings) -> None:
    """What is missing in the week is said on the page, and holds nothing up."""
    sunday = date(2012, 4, 29)
    night = nightly.run(platform, sunday)
    [step] = [each for each in night.steps if each.name == "weekly pages"]
    assert (step.state, step.message) == ("done", "11 pages of 2012-W17: 0 mails sent")
    page = platform.home / "weekly" / "2012-W17" / "OUEST.html"
    assert "Livraison «\xa0appels\xa0» manquante" in page.read_text()
    assert "weekly pages" not in {each.name for each in nightly.run(platform, sunday + timedelta(1)).steps}
