"""What is wrong with the machine is told once, while the warehouse is down too, and so is its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from parc import desk
from parc.findings import FindingKind
from parc.host import programs
from parc.host.processes import Program, stop
from parc.host.sending import Notification
from parc.ledger import write_notices
from parc.ledger.notices import Notice
from parc.platform.lost import unreported
from parc.platform.outages import look
from parc.settings import Settings
from parc.warehouse import connect
from support.receivers import Webhook, webhook

NOW = datetime(2012, 4, 25, 1, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with webhook() as hook:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("PARC_NOTICE_URLS", f"json://127.0.0.1:{hook.port}/good")
        yield hook


@pytest.fixture
def settings(warehouse: Settings, tmp_path: Path) -> Settings:
    """A platform whose scheduler ended by itself; the embedded server is another platform's."""
    settings = replace(warehouse, home=tmp_path, landing=str(tmp_path / "landing"))
    scheduler(settings).pid_file.write_text('{"pid": 999999999, "created": 0}')
    recorded(settings, "scheduler", "postgresql", ended_at=NOW - MINUTE)
    return settings


def recorded(settings: Settings, *names: str, ended_at: datetime) -> None:
    """What the supervisor writes of programs that it could not start again yet."""
    ended = [{"name": name, "ended_at": ended_at.isoformat()} for name in names]
    record = {"restarts": [each | {"restarted_at": None, "problem": ""} for each in ended], "keep_ending": {}}
    (settings.home / "run" / "restarts.json").write_text(json.dumps(record))


def scheduler(settings: Settings) -> Program:
    return programs.airflow(settings)[1]


def history(settings: Settings) -> list[tuple]:
    with connect(settings, "reader") as connection:
        return connection.execute(
            "select kind, subject, sent_to is not null, ended_at is not null, end_sent_to is not null "
            "from ops.notice order by at"
        ).fetchall()


def down(settings: Settings) -> Settings:
    return settings.with_warehouse("postgresql://nobody@127.0.0.1:1/nothing")


def test_what_failed_is_told_once_and_so_is_its_end(settings: Settings, inbox: Webhook) -> None:
    [finding] = desk.findings(settings)
    for minutes in range(3):
        look(settings, NOW + minutes * MINUTE)
    [told] = inbox.received
    assert told["title"].startswith("PARC: airflow scheduler: its process ended")
    lines = told["message"].splitlines()
    assert lines[0] == f"{finding.subject.name}: {finding.text}"
    assert f"PARC_HOME={settings.home} " in told["message"] and "- start it again: parc up" in lines
    runbook = lines[-1].removeprefix("Runbook: ")
    assert Path(runbook).is_file(), "Airflow may be what is down: no page of its"
    assert history(settings) == [("process", "airflow scheduler", True, False, False)]
    assert desk.findings(settings) == [finding], "not twice: as a process and as a notice"

    stop([scheduler(settings)], seconds=5)
    for minutes in (42, 43):
        look(settings, NOW + minutes * MINUTE)
    _, told = inbox.received
    assert told["title"].startswith("PARC: mended: airflow scheduler: its process ended")
    assert told["message"] == "Mended after 42 min. The notice was of 2012-04-25 03:00 Paris."
    assert history(settings) == [("process", "airflow scheduler", True, True, True)]


def test_a_receiver_that_is_down_is_tried_again_less_and_less_often(
    settings: Settings, inbox: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.is_down = True
    look(settings, NOW)
    assert history(settings) == [("process", "airflow scheduler", False, False, False)]
    tried = 0
    for minutes in range(1, 60):
        caplog.clear()
        look(settings, NOW + minutes * MINUTE)
        tried += "did not accept the notice" in caplog.text
    assert tried == 5, "after 2, 4, 8, 16 and 32 minutes"
    inbox.is_down = False
    for minutes in (64, 65, 90):
        look(settings, NOW + minutes * MINUTE)
    assert len(inbox.received) == 1
    assert history(settings) == [("process", "airflow scheduler", True, False, False)]


def test_the_warehouse_may_be_what_is_down(settings: Settings, inbox: Webhook) -> None:
    look(down(settings), NOW)
    look(down(settings), NOW + MINUTE)
    assert [title.partition(":")[0] for title in inbox.titles] == ["warehouse", "airflow scheduler"]
    assert history(settings) == []
    stop([scheduler(settings)], seconds=5)
    look(settings, NOW + 5 * MINUTE)
    assert [title.partition(":")[0] for title in inbox.titles[2:]] == ["mended", "mended"]
    assert history(settings) == [
        ("warehouse", "warehouse", True, True, True),
        ("process", "airflow scheduler", True, True, True),
    ]


def test_what_the_supervisor_mends_at_once_wakes_nobody(settings: Settings, inbox: Webhook) -> None:
    recorded(settings, ended_at=NOW)
    look(settings, NOW + timedelta(seconds=60))  # it has not noticed
    recorded(settings, "scheduler", ended_at=NOW)
    look(settings, NOW + timedelta(seconds=9))
    assert inbox.received == []
    look(settings, NOW + timedelta(seconds=10))
    assert len(inbox.received) == 1


def test_processes_that_need_postgresql_are_no_cause_of_their_own(settings: Settings, inbox: Webhook) -> None:
    mark = settings.home / "postgres" / "started"
    mark.parent.mkdir()
    mark.touch()
    look(settings, NOW)
    assert [title.partition(":")[0] for title in inbox.titles] == ["postgresql"]
    assert not history(settings)
    mark.unlink()
    look(settings, NOW + MINUTE)
    mark.touch()
    recorded(settings, "scheduler", "postgresql", ended_at=NOW + MINUTE)
    look(settings, NOW + MINUTE)
    assert len(inbox.received) == 3, "the scheduler is told now, and is not mended while PostgreSQL is down"


def ended(dag_id: str, run_id: str, state: str, minutes: int) -> dict[str, str]:
    """A run as Airflow's API has it."""
    at = (NOW + minutes * MINUTE).isoformat()
    return {"dag_id": dag_id, "dag_run_id": run_id, "state": state, "end_date": at}


def test_runs_of_which_nobody_was_told_are_found(warehouse: Settings) -> None:
    """The DAG processor tells of a run's end; it may stall."""
    runs = [
        ended("build_marts", "mended", "success", 40),
        ended("ingest_calls", "again", "failed", 40),
        ended("ingest_calls", "lost", "failed", 30),
        ended("ingest_calls", "before", "success", 20),
        ended("ingest_calls", "old", "failed", 10),
        ended("maintain_warehouse", "overdue", "failed", 10),
    ]
    at = NOW + 30 * MINUTE
    told = [
        ("ingest_calls", "again", FindingKind.INGEST_RUN_FAILED),  # before it was cleared
        ("ingest_calls", "lost", FindingKind.INGEST_RUN_FAILED),
        ("build_marts", "failed", FindingKind.BUILD_RUN_FAILED),
        ("export_routing", "failed", FindingKind.RELEASE_RUN_FAILED),
        ("maintain_warehouse", "overdue", FindingKind.BUILD_RUN_OVERDUE),
    ]
    with connect(warehouse, "loader") as connection:
        everything = [("maintain_warehouse", "overdue"), ("ingest_calls", "lost"), ("ingest_calls", "again")]
        assert unreported(connection, runs) == everything
        for dag_id, run_id, kind in told:
            notice = Notice(kind, dag_id, run_id, None, None, None, "o", ["why"], "none", ())
            write_notices.keep(connection, notice, Notification("title", "body", at))
        assert unreported(connection, [*runs, ended("export_routing", "later", "success", 50)]) == [
            ("maintain_warehouse", "overdue"),
            ("ingest_calls", "again"),
            ("build_marts", "mended"),
        ]
