"""Runs of the ingest DAGs on a real warehouse, task by task as Airflow runs them but without its services:
how each outcome affects a run, the text it leaves, and who is notified."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from parc.settings import PROJECT, Settings
from parc.simulate import simulate

DAY, NEXT = date(2012, 4, 25), date(2012, 4, 26)

# Steps come as JSON: run a DAG, or a statement before the next run. Airflow's database is a file of its own.
PROGRAM = """
import json, os, sys
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import select
import psycopg

dags = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], bundle_name="dags-folder").dags
reported = []
for dag_id, conf, statement, writes in json.load(sys.stdin):
    for path, text in writes.items():
        open(path, "w").write(text)
        os.utime(path, (1e9, 1e9))
    if statement:
        with psycopg.connect(os.environ["PARC_WAREHOUSE_DSN"]) as connection:
            connection.execute(statement)
    with create_session() as session:
        before = len(session.scalars(select(AssetEvent)).all())
    run = dags[dag_id].test(run_conf=conf, logical_date=None)
    with create_session() as session:
        events = session.scalars(select(AssetEvent).order_by(AssetEvent.id)).all()[before:]
        reasons = session.scalars(
            select(XComModel).where(XComModel.key == "reason", XComModel.run_id == run.run_id)).all()
        reported.append({
            "state": str(run.state),
            "tasks": {ti.task_id: str(ti.state) for ti in run.get_task_instances(session=session)},
            "events": [[event.asset.name, event.extra.get("business_dates")] for event in events],
            "reasons": {kept.task_id: str(kept.value) for kept in reasons},
        })
print("REPORTED " + json.dumps(reported))
"""


def steps(settings: Settings) -> dict[str, tuple[str, dict[str, str], str | None, dict[str, str]]]:
    """By name: DAG, conf, a statement to run and files to write first."""
    bad = Path(settings.landing) / "calls" / f"date={NEXT}" / "calls.csv"
    day = {"first_date": str(DAY)}
    both = {"first_date": str(DAY), "last_date": str(NEXT)}
    forgotten = "update ops.delivery set built_in = null where feed = 'calls' and status = 'published'"
    return {
        "published": ("ingest_calls", day, None, {}),
        "killed before it reported": ("ingest_calls", day, forgotten, {}),
        "built": ("ingest_calls", day, "update ops.delivery set built_in = 1 where feed = 'calls'", {}),
        "missing": ("ingest_calls", {"first_date": "2012-05-01"}, None, {}),
        "date far away": ("ingest_calls", {"first_date": "2013-05-01"}, None, {}),
        "date accepted": ("ingest_calls", {"first_date": "2013-05-01", "accept_date": True}, None, {}),
        "snapshot not due": ("ingest_boutiques", {"first_date": "2012-05-02"}, None, {}),
        "one of two refused": ("ingest_late", both, None, {str(bad): "call_id,who\nA,me\n"}),
        "nothing new": ("ingest_late", both, None, {}),
    }


@pytest.fixture(scope="module")
def runs(module_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The result of each step, in order, in one warehouse."""
    settings = module_warehouse
    simulate(DAY, NEXT, scale=0.001, seed=1, out=settings.landing)
    for path in Path(settings.landing).rglob("date=*/*"):
        if path.suffix == ".gz" and "calls" in path.name:
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
    for path in Path(settings.landing).rglob("_CONTROL.json"):
        path.unlink()
    long_ago = time.time() - 3600
    for path in Path(settings.landing).rglob("*.*"):
        os.utime(path, (long_ago, long_ago))
    home = tmp_path_factory.mktemp("airflow")
    known = {k: v for k, v in os.environ.items() if not k.startswith(("PARC_", "AIRFLOW_"))}
    environment = known | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "PARC_HOME": str(settings.home),
        "PARC_LANDING": settings.landing,
        "PARC_WAREHOUSE_DSN": str(settings.warehouse_dsn),
    }
    wanted = steps(settings)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(list(wanted.values())),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("REPORTED ")]
    assert lines, done.stdout[-2000:] + done.stderr[-4000:]
    return dict(zip(wanted, json.loads(lines[-1].removeprefix("REPORTED ")), strict=True))


def test_a_publication_is_reported(runs) -> None:
    run = runs["published"]
    assert run["state"] == "success"
    assert run["tasks"] == {"wait": "success", "load": "success", "report": "success"}
    assert run["events"] == [["raw_calls", [str(DAY)]]]


def test_the_next_run_reports_what_a_dead_run_published(runs) -> None:
    assert runs["killed before it reported"]["events"] == [["raw_calls", [str(DAY)]]]


def test_built_deliveries_are_not_reported_again(runs) -> None:
    assert runs["built"]["state"] == "success"
    assert runs["built"]["tasks"]["load"] == "skipped"
    assert runs["built"]["events"] == []


def test_a_missing_delivery_fails_the_run_by_name(runs) -> None:
    run = runs["missing"]
    assert run["state"] == "failed"
    assert run["tasks"] == {"wait": "success", "load": "skipped", "report": "failed"}
    assert "calls 2012-05-01: nothing was delivered" in run["reasons"]["report"]
    assert run["events"] == []


def test_a_date_far_away_is_loaded_only_where_it_is_accepted(runs) -> None:
    run = runs["date far away"]
    assert (run["state"], run["tasks"]["load"]) == ("failed", "failed")
    assert "calls 2013-05-01: refused unread" in run["reasons"]["load"]
    assert "accept_date" in run["reasons"]["load"]
    assert "calls 2013-05-01: nothing was delivered" in runs["date accepted"]["reasons"]["report"]


def test_a_snapshot_that_is_not_due_does_not_fail_the_run(runs) -> None:
    run = runs["snapshot not due"]
    assert run["state"] == "success"
    assert (run["tasks"]["load"], run["reasons"]) == ("skipped", {})


def test_a_bad_delivery_does_not_block_others(runs) -> None:
    """Calls of the 26th are refused; all other feeds of both days are published, and only these are
    reported."""
    run = runs["one of two refused"]
    assert run["state"] == "failed"
    assert run["tasks"] == {"load": "success", "report": "failed"}
    assert f"calls {NEXT}: refused as a whole" in run["reasons"]["report"]
    reported = dict(run["events"])
    assert "raw_calls" not in reported
    assert reported["raw_boutique_visits"] == reported["raw_interventions"] == [str(DAY), str(NEXT)]
    assert {"raw_boutiques", "raw_active_lines", "raw_numbering_plan", "raw_line_assignments"} <= set(
        reported
    )


def test_a_look_that_finds_nothing_new_skips(runs) -> None:
    run = runs["nothing new"]
    assert run["state"] == "success"
    assert run["tasks"] == {"load": "skipped", "report": "success"}
    assert run["events"] == []
