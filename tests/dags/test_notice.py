"""One notice per failed run: what it says, where it goes, and that nothing stops it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from parc.errors import ParcError
from parc.findings import BUILD, FindingKind, Step
from parc.settings import Settings
from parc.warehouse import connect
from support.printed import run_printed
from support.receivers import mailbox, webhook
from support.routing_world import fill

TICK = datetime(2012, 4, 26, 0, 0, tzinfo=UTC)
REFUSED = "1 refused or missing:\ninterventions 2012-04-25: refused as a whole (delivery 7): no column `kind`"


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict]]:
    """What a receiver on loopback gets, with PARC_NOTICE_URLS pointing to it."""
    with webhook() as hook:
        place = f"127.0.0.1:{hook.port}"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        urls = f"json://{place}/bad nonsense json://me:pass-word@{place}/good/hidden-token"
        monkeypatch.setenv("PARC_NOTICE_URLS", urls)
        yield hook.received


@pytest.fixture
def home(warehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The environment of a task of this platform."""
    assert warehouse.warehouse_dsn
    monkeypatch.setenv("PARC_HOME", str(warehouse.home))
    monkeypatch.setenv("PARC_WAREHOUSE_DSN", warehouse.warehouse_dsn)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:8080")
    return warehouse


def failed(
    dag, states: dict[str, str], reasons: dict[str, str], steps: Sequence[Step] = (), **run: object
) -> dict:
    """The context in which a DAG's callback is called."""

    def xcom_pull(*, task_ids: str, key: str, run_id: str) -> dict | None:
        assert (key, run_id) == ("reason", "r+1")
        reason = reasons.get(task_ids)
        return {"text": reason, "steps": [asdict(step) for step in steps]} if reason else None

    ti = SimpleNamespace(get_task_states=lambda dag_id, run_ids: {"r+1": states}, xcom_pull=xcom_pull)
    given = {"conf": {}, "logical_date": TICK, "run_type": "scheduled"} | run
    return {
        "dag": dag,
        "run_id": "r+1",
        "ti": ti,
        "dag_run": SimpleNamespace(**given),
        "reason": "task_failure",
    }


def stored(settings: Settings) -> list[tuple]:
    with connect(settings, "reader") as connection:
        return connection.execute(
            "select dag_id, run_id, business_date::text, owner, text, sent_to from ops.notice order by 1"
        ).fetchall()


def test_a_notice_names_run_reason_impact_and_remedy(dags, home, inbox) -> None:
    dag = dags["ingest_interventions"]
    states = {"wait": "success", "load": "skipped", "report": "failed"}
    dag.on_failure_callback(failed(dag, states, {"report": REFUSED, "wait": "left by a try before"}))

    [(dag_id, run_id, day, owner, text, sent_to)] = stored(home)
    assert (dag_id, run_id, day, owner) == ("ingest_interventions", "r+1", "2012-04-25", "field-service")
    first, *lines = text.splitlines()
    assert first == "ingest_interventions failed for 2012-04-25"
    assert f"report: {REFUSED}" in text
    assert "left by a try before" not in text
    assert any(line.startswith("Impact: The published days are as they were") for line in lines)
    assert "- or load it yourself: parc ingest interventions --date 2012-04-25" in lines
    [first_of_all] = [line for line in lines if line.startswith("In a shell, first: parc() {")]
    assert f"PARC_HOME={home.home} " in first_of_all
    assert lines[-2:] == [
        "- open the run: http://127.0.0.1:8080/dags/ingest_interventions/runs/r%2B1",
        "Runbook: http://127.0.0.1:8080/parc/runbooks/ingest-run-failed",
    ]

    assert "pass-word" not in sent_to and sent_to.endswith("/g...n") and " " not in sent_to
    refusing, taken = inbox
    assert refusing["title"] == taken["title"] == f"PARC: {first}"
    assert REFUSED in taken["message"]


def test_a_task_that_was_killed_is_named_with_its_place(dags, home, inbox) -> None:
    dag = dags["build_marts"]
    dag.on_failure_callback(failed(dag, {"build_marts": "failed"}, {}, logical_date=None, run_type="manual"))
    [(_, _, day, _, text, _)] = stored(home)
    assert day is None
    assert "build_marts: it ended without a message (killed, lost or timed out); see its log" in text
    assert "BI sees the last good build" in text


def test_a_run_that_fails_again_has_its_notice_rewritten(dags, home, inbox) -> None:
    dag = dags["export_routing"]
    for reason in ("rule 1", "rule 2"):
        context = failed(dag, {"plan_release": "failed"}, {"plan_release": reason})
        dag.on_failure_callback(
            context
            | {
                "dag_run": SimpleNamespace(
                    conf={"business_date": "2012-04-24"}, logical_date=None, run_type="manual"
                )
            }
        )
    [(_, _, day, _, text, _)] = stored(home)
    assert day == "2012-04-24"
    assert "rule 2" in text and "rule 1" not in text
    assert "parc routing plan --date 2012-04-24" in text


def test_an_end_is_told_once_however_late_airflow_is(dags, home, inbox) -> None:
    """While the DAG processor stalled, the supervisor told it."""
    dag = dags["build_marts"]
    for minutes in (-1, -2, 1):  # since it ended; then it was cleared, and ends again
        end = {"end_date": datetime.now(UTC) + timedelta(minutes=minutes)}
        dag.on_failure_callback(failed(dag, {"build_marts": "failed"}, {"build_marts": "model x"}, **end))
    assert len([each for each in inbox if each["message"]]) == 2 * 2, "each address, twice"


def test_a_range_is_named_in_command_line_form(dags, home, inbox) -> None:
    dag = dags["ingest_calls"]
    conf = {"first_date": "2012-04-16", "last_date": "2012-04-29"}
    dag.on_failure_callback(
        failed(dag, {"report": "failed"}, {"report": "why"}, conf=conf, logical_date=None)
    )
    [(_, _, day, _, text, _)] = stored(home)
    assert day == "2012-04-16"
    assert "parc ingest calls --from 2012-04-16 --to 2012-04-29" in text


@pytest.mark.parametrize(
    "conf", [{"first_date": "2012-04-29", "last_date": "2012-04-16"}, {"first_date": "29 April"}, {}]
)
def test_a_run_whose_form_names_no_dates_has_a_notice_too(dags, home, inbox, conf: dict[str, str]) -> None:
    dag = dags["ingest_calls"]
    dag.on_failure_callback(
        failed(dag, {"load": "failed"}, {"load": "why"}, conf=conf, logical_date=None, run_type="manual")
    )
    [(_, _, day, _, text, _)] = stored(home)
    assert day is None and "load: why" in text
    assert "- or load it yourself: parc ingest calls --date DATE" in text.splitlines()


def test_a_notice_has_the_steps_of_the_error_and_each_once(dags, home, inbox) -> None:
    dag = dags["build_marts"]
    steps = (Step("withdraw delivery 7 if it is wrong", "parc withdraw 7 --reason TEXT"), BUILD)
    dag.on_failure_callback(failed(dag, {"build_marts": "failed"}, {"build_marts": "a test failed"}, steps))
    [(*_, text, _)] = stored(home)
    assert "- withdraw delivery 7 if it is wrong: parc withdraw 7 --reason TEXT" in text.splitlines()
    assert text.count("parc build") == 1


def test_a_notice_is_sent_without_the_warehouse(dags, home, inbox, monkeypatch, caplog) -> None:
    monkeypatch.setenv("PARC_WAREHOUSE_DSN", "postgresql://nobody@127.0.0.1:1/nothing")
    dag = dags["build_marts"]
    with caplog.at_level(logging.ERROR):
        dag.on_failure_callback(failed(dag, {"build_marts": "failed"}, {"build_marts": "lost"}))
    assert "build_marts: lost" in inbox[-1]["message"]
    assert "is not in ops.notice" in caplog.text
    assert "pass-word" not in caplog.text


def test_without_addresses_it_is_stored_and_logged(dags, home, monkeypatch, caplog) -> None:
    monkeypatch.delenv("PARC_NOTICE_URLS", raising=False)
    dag = dags["build_marts"]
    with caplog.at_level(logging.ERROR):
        dag.on_failure_callback(failed(dag, {"build_marts": "failed"}, {"build_marts": "model x"}))
    [(_, _, _, _, text, sent_to)] = stored(home)
    assert "model x" in text and sent_to is None
    assert "PARC_NOTICE_URLS names no address" in caplog.text


def test_addresses_may_be_in_a_file(dags, home, inbox, monkeypatch, tmp_path, caplog) -> None:
    file = tmp_path / "addresses"
    file.write_text(os.environ["PARC_NOTICE_URLS"].replace(" ", "\n") + "\n")
    monkeypatch.delenv("PARC_NOTICE_URLS")
    monkeypatch.setenv("PARC_NOTICE_URLS_FILE", str(file))
    context = failed(dags["build_marts"], {"build_marts": "failed"}, {"build_marts": "model x"})
    dags["build_marts"].on_failure_callback(context)
    assert "model x" in inbox[-1]["message"] and stored(home)[0][-1]
    file.unlink()
    with caplog.at_level(logging.ERROR):
        dags["build_marts"].on_failure_callback(context)
    assert f"PARC_NOTICE_URLS_FILE={file} cannot be read" in caplog.text
    assert stored(home)[0][-1] is None, "it is stored all the same"


def test_a_callback_without_a_task_still_reports(dags, home, inbox) -> None:
    """Airflow names no task where it knows none: a run that timed out before its first."""
    dag = dags["build_marts"]
    dag.on_failure_callback({"dag": dag, "run_id": "r+1", "reason": "timed_out"})
    assert "the run timed out" in inbox[-1]["message"]
    dag.on_failure_callback({})  # never raises
    assert len(stored(home)) == 1


def test_an_overdue_run_is_reported_while_running(dags, home, inbox) -> None:
    """As the executor calls it: with what Airflow's scheduler wrote down."""
    from parc.orchestration.notice import overdue

    deadline = dags["build_marts"].deadline[0]
    assert deadline.callback.path == "parc.orchestration.notice.overdue"

    run = {
        "dag_id": "build_marts",
        "dag_run_id": "scheduled__1",
        "conf": None,
        "run_type": "scheduled",
        "logical_date": "2012-04-26T03:00:00Z",
        "state": "running",
    }
    overdue(**json.loads(json.dumps(deadline.callback.kwargs)), context={"dag_run": run})
    [(dag_id, run_id, day, owner, text, _)] = stored(home)
    assert (dag_id, run_id, day, owner) == ("build_marts", "scheduled__1", "2012-04-25", "data-platform")
    assert text.startswith("build_marts is overdue for 2012-04-25")
    assert "it has not ended 60 minutes after it was queued" in inbox[-1]["message"]


def test_a_run_that_has_failed_is_never_overdue(dags, home, inbox) -> None:
    """Airflow forgets a deadline only if the run succeeded before it."""
    from parc.orchestration.notice import overdue

    dag = dags["build_marts"]
    dag.on_failure_callback(failed(dag, {"build_marts": "failed"}, {"build_marts": "model x"}))
    sent = len(inbox)
    run = {
        "dag_id": "build_marts",
        "dag_run_id": "r+1",
        "conf": None,
        "run_type": "scheduled",
        "logical_date": "2012-04-26T03:00:00Z",
        "state": "failed",
    }
    given = json.loads(json.dumps(dag.deadline[0].callback.kwargs))
    overdue(**given, context={"dag_run": run})
    assert len(inbox) == sent
    overdue(**given, context={"dag_run": run | {"state": "running"}})  # as it failed in the meantime
    [(*_, text, _)] = stored(home)
    assert text.startswith("build_marts failed") and "model x" in text


def test_a_success_ends_the_notices_of_its_dag_and_says_so(dags, home, inbox) -> None:
    dag = dags["build_marts"]
    dag.on_failure_callback(failed(dag, {"build_marts": "failed"}, {"build_marts": "model x"}))
    dags["ingest_late"].on_success_callback({"dag": dags["ingest_late"], "run_id": "other"})
    sent = len(inbox)
    for _ in range(2):
        dag.on_success_callback({"dag": dag, "run_id": "r+2"})
    *_, told = inbox
    assert len(inbox) == sent + 1, "once, and where the notice had been taken"
    assert told["title"] == "PARC: mended: build_marts failed for 2012-04-25" and told["type"] == "success"
    assert told["message"].startswith("Mended after 0 min by run r+2. The notice was of ")
    with connect(home, "reader") as connection:
        found = connection.execute("select ended_by, ended_at > at from ops.notice").fetchall()
    assert found == [("r+2", True)]


def test_a_failure_and_its_end_reach_a_mailbox_and_a_webhook(dags, home, monkeypatch, caplog) -> None:
    """Over SMTP and HTTP. The webhook is down at first: it is told once all the same, and so is the end. No
    message has colours or a telephone number, no log a secret of the addresses."""
    from parc.orchestration.notice import keep_reason
    from parc.platform.outages import look

    dag, kept = dags["ingest_calls"], {}
    error = ParcError("calls 2012-04-25: \x1b[31mrefused\x1b[0m; +33 6 12 34 56 78 is no key", steps=(BUILD,))
    ti = SimpleNamespace(xcom_push=lambda key, value: kept.update({key: value}))
    keep_reason({"ti": ti, "exception": error})
    caplog.set_level(logging.DEBUG)
    with webhook() as hook, mailbox() as (port, mails):
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        addresses = [
            f"mailto://127.0.0.1:{port}?from=parc@example.org&to=night@example.org",
            f"json://me:pass-word@127.0.0.1:{hook.port}/good/hidden-token?+X-Key=hidden-header",
        ]
        monkeypatch.setenv("PARC_NOTICE_URLS", " ".join(addresses))
        hook.is_down = True
        steps = [Step(**step) for step in kept["reason"]["steps"]]
        conf = {"first_date": "2012-04-25"}
        given = failed(dag, {"load": "failed"}, {"load": kept["reason"]["text"]}, steps, conf=conf)
        dag.on_failure_callback(given)
        assert (len(mails), hook.received) == (1, [])

        hook.is_down = False
        now = datetime.now(UTC)
        for minutes in (1, 3, 5, 60):
            look(home, now + timedelta(minutes=minutes))
        assert (len(mails), len(hook.received)) == (1, 1)
        dag.on_success_callback({"dag": dag, "run_id": "r+2"})
        look(home, now + timedelta(minutes=120))
    (failure, end), (hooked, hooked_end) = mails, hook.received
    assert failure["to"] == "night@example.org"
    assert failure["subject"] == hooked["title"] == "PARC: ingest_calls failed for 2012-04-25"
    text = failure.get_body(("plain",)).get_content()
    for told in (text, hooked["message"]):
        assert "load: calls 2012-04-25: refused; " in told and "\x1b" not in told
        assert "34 56" not in told and "parc ingest calls --date 2012-04-25" in told
    assert end["subject"] == hooked_end["title"] == "PARC: mended: ingest_calls failed for 2012-04-25"
    assert hooked_end["message"].startswith("Mended after 0 min by run r+2.")
    [(*_, sent_to)] = stored(home)
    for secret in ("pass-word", "hidden-token", "hidden-header"):
        assert secret not in caplog.text + sent_to


def test_the_commands_of_notices_run_as_printed(dags, home, monkeypatch) -> None:
    """On the desk, with the dates of the run; 1: no week is published here (test_regional.py has one), 4:
    nothing was delivered, 7: the plan needs approval."""
    from parc.orchestration.notice import overdue

    monkeypatch.delenv("PARC_NOTICE_URLS", raising=False)
    fill(home)

    def fails(dag_id: str, **conf: str) -> None:
        task = dags[dag_id].task_ids[0]
        dags[dag_id].on_failure_callback(
            failed(dags[dag_id], {task: "failed"}, {task: "why"}, conf=conf, logical_date=None)
        )

    def is_late(dag_id: str) -> None:
        run = {"dag_id": dag_id, "dag_run_id": "r", "logical_date": None, "run_type": "manual"}
        kwargs = json.loads(json.dumps(dags[dag_id].deadline[0].callback.kwargs))
        overdue(**kwargs, context={"dag_run": run | {"state": "running"}})

    fails("ingest_calls", first_date="2012-04-25")
    run_printed(home, FindingKind.INGEST_RUN_FAILED, instead=True, codes=(0, 4))
    fails("ingest_late")
    run_printed(home, FindingKind.LATE_RUN_FAILED)
    fails("maintain_warehouse")
    run_printed(home, FindingKind.MAINTENANCE_RUN_FAILED, instead=True)
    fails("build_marts")
    run_printed(home, FindingKind.BUILD_RUN_FAILED, instead=True)
    fails("send_weekly_pages", business_date="2012-04-24")
    run_printed(home, FindingKind.WEEKLY_RUN_FAILED, instead=True, codes=(0, 1))
    is_late("build_marts")
    run_printed(home, FindingKind.BUILD_RUN_OVERDUE)
    fails("export_routing", business_date="2012-04-24")
    run_printed(home, FindingKind.RELEASE_RUN_FAILED, codes=(0, 7))
    is_late("export_routing")
    run_printed(home, FindingKind.RELEASE_RUN_OVERDUE)


def test_a_failed_task_keeps_its_error_message() -> None:
    from parc.orchestration.notice import Failed, keep_reason

    kept: dict[str, dict] = {}
    ti = SimpleNamespace(xcom_push=lambda key, value: kept.update({key: value}))
    keep_reason({"ti": ti})
    assert kept == {}
    keep_reason({"ti": ti, "exception": ValueError("x" * 9_000)})
    assert kept == {"reason": {"text": "x" * 4_000, "steps": []}}
    keep_reason({"ti": ti, "exception": Failed("a test failed", steps=(BUILD,))})
    assert kept == {"reason": {"text": "a test failed", "steps": [asdict(BUILD)]}}
