"""`parc check`: lists suites, judges published data, exit codes."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from parc import quality
from parc.errors import ParcError
from parc.loading import ingest
from parc.quality import NothingToJudge, UnknownSuite
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect
from support.command_line import parc

DAY = date(2012, 4, 25)


@pytest.fixture(scope="module")
def loaded(module_warehouse: Settings) -> Settings:
    """A day of calls and a snapshot of line assignments, published."""
    simulate(date(2012, 4, 23), DAY, scale=0.01, seed=7, out=module_warehouse.landing)
    assert ingest(module_warehouse, "calls", DAY).status == "published"
    assert ingest(module_warehouse, "line_assignments", date(2012, 4, 23)).status == "published"
    return module_warehouse


def check(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return parc(settings, "check", *arguments)


def test_without_a_suite_all_are_listed(loaded: Settings) -> None:
    done = check(loaded, "--json")
    rows = {row["suite"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 0
    assert rows["landing/calls"]["owners"] == "customer-service, routing"
    assert rows["export/routing"]["expectations"] == (
        rows["export/routing"]["refuse"] + rows["export/routing"]["warn"]
    )


def test_a_published_day_gets_a_readable_verdict(loaded: Settings) -> None:
    done = check(loaded, "landing/calls", "--date", str(DAY))
    assert done.returncode == 0, done.stderr
    for column in ("holds", "not judged", "volume_floor", "customer-service", "≥ 50"):
        assert column in done.stdout
    outcome, page = done.stdout.strip().splitlines()[-1].split("; Data Docs: ")
    assert outcome == "passed" and Path(page).exists()


def test_a_published_day_that_would_be_refused_now_exits_4(loaded: Settings) -> None:
    with connect(loaded, "loader") as connection:
        connection.execute("update raw.calls set talk_s = 1000 * talk_s")
    try:
        done = check(loaded, "landing/calls", "--date", str(DAY), "--json")
    finally:
        with connect(loaded, "loader") as connection:
            connection.execute("update raw.calls set talk_s = talk_s / 1000")
    reported = json.loads(done.stdout)
    assert (done.returncode, reported["outcome"]) == (4, "refused")
    (row,) = (row for row in reported["expectations"] if row["result"] == "refuses")
    assert (row["expectation"], row["owner"]) == ("talk_in_seconds", "customer-service")
    assert row["limit"].startswith("≤ 5"), "half of the legs, and what chance may add to it"
    assert "have durations written in seconds" in reported["violations"][0]


def test_a_snapshot_kept_as_ranges_is_judged_as_it_stands_on_its_date(loaded: Settings) -> None:
    day = date(2012, 4, 23)
    verdict = quality.check(loaded, "landing/line_assignments", day)
    (judged,) = (each for each in verdict.judgements if each.expectation == "not_empty")
    with connect(loaded, "loader") as connection:
        published = connection.execute(
            "select rows_published from ops.delivery where feed = 'line_assignments'"
        ).fetchone()
    assert verdict.outcome == "passed" and (judged.observed,) == published


@pytest.mark.parametrize(
    ("suite", "day", "error", "message"),
    [
        ("landing/letters", DAY, UnknownSuite, r"no suite is called `landing/letters`; choose from export/"),
        (
            "landing/calls",
            date(2012, 4, 24),
            NothingToJudge,
            r"calls 2012-04-24 is not published(.|\n)*parc ingest calls",
        ),
    ],
)
def test_unjudgeable_requests_say_why(
    loaded: Settings, suite: str, day: date, error: type[ParcError], message: str
) -> None:
    with pytest.raises(error, match=message):
        quality.check(loaded, suite, day)


def test_rows_that_are_no_longer_kept_are_not_judged(loaded: Settings) -> None:
    with connect(loaded, "loader") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256) "
            "values ('calls', '2011-01-05', 'published', '[]', 'x')"
        )
    with pytest.raises(
        NothingToJudge, match=r"calls 2011-01-05: the rows of delivery \d+ are no longer kept"
    ):
        quality.check(loaded, "landing/calls", date(2011, 1, 5))


def test_usage_and_environment(loaded: Settings) -> None:
    for arguments, code, words in (
        (["landing/calls"], 2, "--date D"),
        (["landing/letters", "--date", str(DAY)], 2, "no suite is called `landing/letters`"),
        (["export/routing", "--date", str(DAY)], 1, "cannot measure routing 2012-04-26"),
    ):
        done = check(loaded, *arguments)
        assert (done.returncode, words in done.stdout + done.stderr) == (code, True), done.stderr
        assert "Traceback" not in done.stderr


def test_a_warned_or_refused_delivery_says_where_its_page_is(loaded: Settings, tmp_path: Path) -> None:
    settings = replace(loaded, landing=str(tmp_path))
    folder = tmp_path / "boutiques" / "date=2012-04-25"
    folder.mkdir(parents=True)
    (folder / "boutiques.csv").write_text(
        "boutique_code,name,department_code,opened_on,closed_on\nB1,Rennes,99,2001-01-01,\n"
    )
    (warning,) = ingest(settings, "boutiques", DAY).warnings
    page = warning.split("; Data Docs: ")[1]
    assert page.startswith("landing/boutiques/boutiques_2012-04-25/")
    assert (quality.data_docs(settings) / page).exists()
    (folder / "boutiques.csv").write_text("boutique_code,name,department_code,opened_on,closed_on\n")
    refused = ingest(settings, "boutiques", DAY)
    assert refused.status == "refused"
    page = refused.message.split("; Data Docs: ")[1]
    assert (quality.data_docs(settings) / page).exists()


def test_the_seeds_are_checked_without_a_date(loaded: Settings) -> None:
    done = check(loaded, "seeds")
    assert (done.returncode, done.stdout, done.stderr) == (0, "21 seeds are sound\n", "")
