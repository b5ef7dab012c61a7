"""One finding is the same on the desk, in status, in doctor, in a notice and on a page."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from parc import desk
from parc.cli import app as command_line
from parc.findings import FindingKind, Step
from parc.platform.doctor import AREAS
from parc.settings import Settings
from parc.warehouse import connect

DAY = date(2012, 4, 25)


@pytest.fixture
def platform(warehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The warehouse of the environment, with a failed run of `ingest_calls` reported."""
    assert warehouse.warehouse_dsn
    monkeypatch.setenv("PARC_HOME", str(warehouse.home))
    monkeypatch.setenv("PARC_LANDING", warehouse.landing)
    monkeypatch.setenv("PARC_SWITCH", warehouse.switch)
    monkeypatch.setenv("PARC_WAREHOUSE_DSN", warehouse.warehouse_dsn)
    monkeypatch.setenv("AIRFLOW_HOME", str(warehouse.home))
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:8080")
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of the tests, long enough for its digest")
    monkeypatch.delenv("PARC_NOTICE_URLS", raising=False)
    from parc.orchestration.notice import report

    report(
        FindingKind.INGEST_RUN_FAILED,
        "ingest_calls",
        "r",
        [DAY],
        owner="customer-service",
        reasons=["report: nothing was delivered\nmore"],
        impact="The published days are as they were.",
        remedy=(
            Step("have it sent"),
            Step("load it yourself", "parc ingest calls {dates}", is_alternative=True),
        ),
        feed="calls",
    )
    yield warehouse


def shown_text(text: str) -> str:
    """Words in one line, without the marks of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def pages(settings: Settings) -> TestClient:
    """The pages, for somebody who is logged in."""
    from parc.ui.app import app
    from parc.ui.visitors import Visitor, visitor

    mounted = FastAPI()
    mounted.mount("/parc", app)
    allowed = {depends.dependency: lambda: None for depends in app.router.dependencies}
    signed_in = {visitor: lambda: Visitor("emil", may_answer=False)}
    app.dependency_overrides = {Settings.from_env: lambda: settings, **allowed, **signed_in}
    return TestClient(mounted)


def test_findings_are_the_same_everywhere(platform: Settings) -> None:
    [finding] = desk.findings(platform)
    assert finding.kind is FindingKind.INGEST_RUN_FAILED
    assert (finding.subject.feed, finding.subject.first_date, finding.subject.run_id) == ("calls", DAY, "r")
    steps = [step for step in finding.steps if step.label != "read the whole notice"]
    assert [(step.label, step.command, step.link) for step in steps] == [
        ("have it sent", "", ""),
        ("load it yourself", "parc ingest calls --date 2012-04-25", ""),
        ("open the run", "", "/dags/ingest_calls/runs/r"),
    ]

    with connect(platform, "reader") as connection:
        [(notice,)] = connection.execute("select text from ops.notice").fetchall()
    runner = CliRunner()
    status = runner.invoke(command_line, ["status"]).stdout
    reported = {
        "status": json.loads(runner.invoke(command_line, ["status", "--json"]).stdout)["findings"],
        "doctor": [
            check
            for check in json.loads(runner.invoke(command_line, ["doctor", "--json"]).stdout)
            if check.get("kind") == finding.kind
        ],
    }
    for [found] in reported.values():
        assert (
            found.items()
            >= {
                "kind": "ingest run failed",
                "severity": "note",
                "is_wrong": False,
                "subject": "ingest_calls",
                "what": finding.text,
                "command": finding.command,
                "runbook": "docs/runbooks/ingest-run-failed.md",
            }.items()
        )
        assert [Step(**step) for step in found["steps"]] == list(finding.steps)
        assert found["concerns"]["feed"] == "calls"

    page = pages(platform).get("/parc/").text
    history = pages(platform).get("/parc/notices").text
    assert notice in html.unescape(history)
    assert "nobody" in shown_text(history) and "not yet" in shown_text(history)

    title = "ingest_calls failed for 2012-04-25"
    for text in (status, notice, page):
        assert title in shown_text(text) and "report: nothing was delivered" in shown_text(text)
        for step in steps:
            assert step.label in shown_text(text) and step.command in shown_text(text)
    assert "http://127.0.0.1:8080/dags/ingest_calls/runs/r" in notice
    assert 'href="/dags/ingest_calls/runs/r"' in page
    assert '<a href="/parc/runbooks/ingest-run-failed">runbook ' in page
    assert "http://127.0.0.1:8080/parc/runbooks/ingest-run-failed" in notice
    assert finding.kind.runbook in status


def test_a_runbook_opens_in_the_pages(platform: Settings, tmp_path: Path) -> None:
    settings = replace(platform, project=tmp_path)
    runbook = tmp_path / FindingKind.BUILD_FAILED.runbook
    runbook.parent.mkdir(parents=True)
    runbook.write_text("# Build failed\n\nRun `parc build`. <script>alert(1)</script>\n")
    answer = pages(settings).get("/parc/runbooks/build-failed")
    assert "<h1>Build failed</h1>" in answer.text and "<code>parc build</code>" in answer.text
    assert "<script>alert" not in answer.text
    assert pages(settings).get("/parc/runbooks/build-failed.md").text == answer.text
    for slug in ("refused", "nosuch", "..%2f..%2fetc%2fpasswd"):
        assert pages(settings).get(f"/parc/runbooks/{slug}").status_code == 404


def test_links_of_runbooks_open(platform: Settings) -> None:
    client, links = pages(platform), set()
    for kind in FindingKind:
        address = f"/parc/runbooks/{kind.slug}"
        found = re.findall(r"<article>.*</article>", client.get(address).text, re.DOTALL)
        links |= {urljoin(address, link) for link in re.findall(r'href="([^"]+)"', found[0])}
    assert "/parc/runbooks/refused.md" in links and "/parc/how-to/upgrade.md" in links
    assert {client.get(link).status_code for link in links} == {200}
    for path in ("how-to/nosuch.md", "scripts/write_feeds.md", "how-to/..%2f..%2fREADME.md"):
        assert client.get(f"/parc/{path}").status_code in (404, 422)


def test_doctor_knows_every_kind() -> None:
    """Each kind has one place in what doctor says."""
    in_areas = [kind for area in AREAS for kind in area.kinds]
    assert len(in_areas) == len(set(in_areas))
    before = {
        FindingKind.PYTHON,
        FindingKind.LANDING_ZONE,
        FindingKind.WAREHOUSE,
        FindingKind.LOGINS,
        FindingKind.READER_RIGHTS,
        FindingKind.PSEUDONYM_KEY,
        FindingKind.FORGOTTEN,
        FindingKind.BACKUP,
    }
    assert set(in_areas) | before == set(FindingKind)
    assert not before & set(in_areas)


def test_a_step_in_words() -> None:
    assert Step("have it sent").to_text() == "have it sent"
    assert Step("load it", "parc ingest", is_alternative=True).to_text() == "or load it: parc ingest"
    link = Step("open the run", link="/dags/x")
    assert link.to_text() == "open the run: /dags/x in Airflow"
    assert link.to_text("http://a") == "open the run: http://a/dags/x"


def test_addresses_of_runbooks_are_plain() -> None:
    for kind in FindingKind:
        assert re.fullmatch(r"docs/runbooks/[a-z]+(-[a-z]+)*\.md", kind.runbook)
