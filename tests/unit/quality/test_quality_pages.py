import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from parc.quality import ExpectationResult, Violation, pages
from parc.quality.pages import Report
from parc.quality.verdict import figure

NIGHT = datetime(2012, 4, 26, 3, 0, tzinfo=UTC)


def report(at: datetime, *, observed: str | None = None, refuses: bool = False) -> Report:
    violation = Violation(
        "sites_known",
        "fail" if refuses else "warn",
        "somebody",
        "calls 2012-04-25",
        f"site {observed} is not known",
    )
    judgement = ExpectationResult(
        expectation="sites_known",
        owner="somebody",
        sentence="Every site is known.",
        measure="unknown_sites",
        observed=observed,
        limits={},
        refuses=refuses,
        has_value=True,
        violation=violation if observed else None,
    )
    return Report(
        suite="landing/calls",
        subject="calls 2012-04-25",
        checked_at=at,
        parameters={"usual_rows": None},
        measures={"unknown_sites": observed, "legs": 12345, "share": 12.5},
        judgements=[judgement],
        result={"success": observed is None},
    )


def links(tmp_path: Path) -> list[str]:
    index = (tmp_path / "index.html").read_text()
    return [line.split('href="')[1].split('"')[0] for line in index.splitlines() if 'href="' in line]


def test_index_lists_runs_newest_first_with_working_links(tmp_path: Path) -> None:
    pages.write(tmp_path, report(NIGHT, observed="ATLANTIS", refuses=True))
    (tmp_path / pages.INDEX).unlink()  # older releases wrote none
    pages.write(tmp_path, report(NIGHT + timedelta(hours=1)))
    newest, *runs = links(tmp_path)
    assert runs == [
        "landing/calls/calls_2012-04-25/20120426T040000000000Z.html",
        "landing/calls/calls_2012-04-25/20120426T030000000000Z.html",
    ]
    assert newest == runs[0]
    assert all((tmp_path / link).exists() for link in runs)
    index = (tmp_path / "index.html").read_text().split("newest first")[1]
    assert index.index(">passed<") < index.index(">refused<")


def test_index_shows_the_newest_run_of_every_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "INDEXED_RUNS", 2)
    export = replace(report(NIGHT), suite="export/routing", subject="routing 2012-04-26")
    pages.write(tmp_path, export)
    for hour in range(1, 4):
        pages.write(tmp_path, report(NIGHT + timedelta(hours=hour)))
    assert links(tmp_path) == [
        "export/routing/routing_2012-04-26/20120426T030000000000Z.html",
        "landing/calls/calls_2012-04-25/20120426T060000000000Z.html",
        "landing/calls/calls_2012-04-25/20120426T060000000000Z.html",
        "landing/calls/calls_2012-04-25/20120426T050000000000Z.html",
    ]


def test_a_page_links_to_the_index_and_loads_nothing_external(tmp_path: Path) -> None:
    page = pages.write(tmp_path, report(NIGHT, observed="ATLANTIS"))
    back = page.read_text().split('href="')[1].split('"')[0]
    assert (page.parent / back).resolve() == tmp_path / "index.html"
    for file in tmp_path.rglob("*.html"):
        assert "http" not in file.read_text().replace("<!doctype html>", "")
        assert "src=" not in file.read_text()


def test_delivered_text_is_shown_and_not_interpreted(tmp_path: Path) -> None:
    page = pages.write(tmp_path, report(NIGHT, observed="<script>alert(1)</script>"))
    for text in (page.read_text(), (tmp_path / "index.html").read_text()):
        assert "<script>" not in text
        assert "&lt;script&gt;" in text


def test_the_saved_run_holds_verdict_measures_and_the_librarys_result(tmp_path: Path) -> None:
    page = pages.write(tmp_path, report(NIGHT, observed="ATLANTIS"))
    saved = json.loads(page.with_suffix(".json").read_text())
    assert saved["status"] == "passed with warnings"
    assert saved["messages"] == ["calls 2012-04-25: site ATLANTIS is not known"]
    assert saved["measures"] == {"unknown_sites": "ATLANTIS", "legs": 12345, "share": 12.5}
    assert json.loads(page.with_suffix(".result.json").read_text()) == {"success": False}
    assert [path.name for path in tmp_path.rglob(".*")] == [".index.lock"]


def test_figures_are_readable() -> None:
    assert [figure(value) for value in (None, 12345, 12.5, 0.0, 1200000.0, "x", True)] == [
        "–",
        "12,345",
        "12.5",
        "0",
        "1,200,000",
        "x",
        "True",
    ]


def test_runs_of_old_business_dates_leave_the_index_too(tmp_path: Path) -> None:
    def write(day: int, hour: int, suite: str = "landing/calls", dated: bool = True) -> Path:
        subject = f"calls 2012-04-{day}" if dated else "the table"
        parameters = {"business_date": date(2012, 4, day)} if dated else {}
        at = NIGHT + timedelta(hours=hour)
        return pages.write(tmp_path, replace(report(at), suite=suite, subject=subject, parameters=parameters))

    old = [write(20, 0), write(20, 30)]
    # Restated later than the others were checked: the business date counts, not when it was judged.
    kept = [write(21, 1), write(22, 2), write(21, 40), write(10, 3, "export/routing")]
    undated = [write(1, 4, "landing/other", dated=False), write(1, 5, "landing/other", dated=False)]
    killed = old[0].with_name("20120426T010101000000Z.html")
    killed.write_text("a page whose summary was never written")
    (kept[0].parent / f"{pages.DRAFT}{kept[0].name}.4711").write_text("a page half written")

    planned = pages.prune(tmp_path, 2, dry_run=True)
    assert planned[0] == 4
    assert old[0].exists()
    assert pages.prune(tmp_path, 2) == planned
    assert not old[0].parent.exists()
    assert not undated[0].exists()
    assert not [*tmp_path.rglob(f"{pages.DRAFT}*")]
    remaining = sorted(page for page in tmp_path.rglob("*Z.html"))
    assert remaining == sorted([*kept, undated[1]])
    assert {tmp_path / link for link in links(tmp_path)} == set(remaining)
    assert pages.prune(tmp_path, 2) == (0, 0)
    assert pages.prune(tmp_path / "nowhere", 2) == (0, 0)
