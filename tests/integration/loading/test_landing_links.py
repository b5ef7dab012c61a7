"""A bad link, a feed that cannot be listed, an endless file: none affects other deliveries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parc import nightly, quality
from parc.loading import has_arrived, ingest, strays, unseen
from parc.loading.limits import MOST_REJECTED_ROWS
from parc.loading.parquetfile import BATCH_ROWS
from parc.quality import Verdict
from parc.settings import Settings
from support.command_line import environment, parc
from support.deliveries import DAY, as_csv, deliver, ledger, legs

BEFORE = DAY - timedelta(days=1)
TARGETS = {
    "a loop": f"date={DAY}",
    "to nothing": "nowhere",
    "below a file": "x.csv/y",
    "a name too long": "a" * 300,
}


def night_of(settings: Settings) -> nightly.NightRun:
    night = nightly.NightRun(DAY)
    nightly._ingest(settings, night, nightly._Watch(night, lambda _: None))
    return night


@pytest.fixture
def delivered(warehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A day of calls; nothing yet of any other feed."""
    monkeypatch.setattr(quality, "check_delivery", lambda *_: Verdict(passed=True))
    deliver(warehouse, "calls", BEFORE, calls__csv=as_csv(legs(30, BEFORE)), control={"rows": 30})
    return warehouse


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_dangling_date_link_does_not_block_others(delivered: Settings, target: str) -> None:
    landing = Path(delivered.landing)
    for feed in ("calls", "boutiques"):
        (landing / feed).mkdir(exist_ok=True)
        (landing / feed / "x.csv").touch()
        (landing / feed / f"date={DAY}").symlink_to(target)
    assert ("calls", BEFORE) in unseen(delivered, BEFORE, DAY)
    assert {stray.place for stray in strays(delivered)} >= {f"calls/date={DAY}", f"boutiques/date={DAY}"}
    for feed in ("calls", "boutiques"):
        outcome = ingest(delivered, feed, DAY)
        assert outcome.status == ("missing" if target == "nowhere" else "refused"), outcome.message
    assert ingest(delivered, "calls", BEFORE).status == "published"
    assert unseen(delivered, BEFORE, DAY) == []


def test_an_unlistable_feed_does_not_block_others(delivered: Settings) -> None:
    landing = Path(delivered.landing)
    (landing / "boutiques").symlink_to("boutiques")
    (landing / "interventions").symlink_to("a" * 300)
    (landing / "numbering_plan").symlink_to("calls/x.csv/y")
    (landing / "calls" / "x.csv").touch()
    assert unseen(delivered, BEFORE, DAY) == [("calls", BEFORE)]
    for feed in ("boutiques", "interventions", "numbering_plan"):
        outcome = ingest(delivered, feed, DAY)
        assert outcome.status == "refused" and f"{feed}/date={DAY} cannot be read" in outcome.message
    reported = [str(stray) for stray in strays(delivered)]
    assert (
        "boutiques cannot be read: Too many levels of symbolic links; its deliveries were not looked for"
        in reported
    )


def test_a_night_and_a_range_skip_a_link(delivered: Settings) -> None:
    landing = Path(delivered.landing)
    (landing / "boutiques").symlink_to("boutiques")
    (landing / "calls" / f"date={DAY}").symlink_to(f"date={DAY}")
    later = DAY + timedelta(days=1)
    deliver(delivered, "calls", later, calls__csv=as_csv(legs(30, later)), control={"rows": 30})
    done = parc(delivered, "ingest", "calls", "--from", str(BEFORE), "--to", str(later), "--json")
    assert done.returncode == 4, done.stderr
    reported = json.loads(done.stdout)
    assert [each["business_date"] for each in reported] == [str(BEFORE), str(DAY), str(later)]
    assert "Too many levels of symbolic links" in reported[1]["message"]
    night = night_of(delivered)
    assert night.exit_code == 4
    assert "boutiques cannot be read" in night.steps[-1].message


def test_a_range_reports_what_was_done_before_an_error(delivered: Settings) -> None:
    """The landing zone is removed when the first of some hundred dates is done."""
    last = BEFORE + timedelta(days=700)
    command = [str(Path(sys.executable).with_name("parc")), "ingest", "calls", "--accept-date"]
    with subprocess.Popen(
        [*command, "--from", str(BEFORE), "--to", str(last)],
        env=os.environ | environment(delivered),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr
        while f"calls {BEFORE}" not in running.stderr.readline():
            assert running.poll() is None
        Path(delivered.landing).rename(f"{delivered.landing}_away")
        out, err = running.communicate()
    assert running.returncode == 3 and "does not exist, so nothing was looked for" in err
    assert out.startswith(f"calls {BEFORE}: 30 of 30 rows published as delivery 1")


def test_no_run_waits_for_an_outward_link(delivered: Settings, tmp_path: Path) -> None:
    (tmp_path / "said.json").write_text("{}")
    folder = deliver(delivered, "calls", DAY, calls__csv=as_csv(legs(30)))
    (folder / "_CONTROL.json").symlink_to(tmp_path / "said.json")
    assert has_arrived(delivered, "calls", DAY)
    outcome = ingest(delivered, "calls", DAY, complete_only=True)
    assert outcome.status == "refused"
    assert "_CONTROL.json is a link to a place outside the landing zone" in outcome.message


def test_reading_stops_at_the_limit_of_rejected_rows(delivered: Settings) -> None:
    """A Parquet file of a few KB may hold millions of rows."""
    stream = BytesIO()
    names = list(legs(1)[0])
    pq.write_table(pa.table({name: pa.nulls(2_000_000, pa.string()) for name in names}), stream)
    deliver(delivered, "calls", DAY, calls__parquet=stream.getvalue())
    outcome = ingest(delivered, "calls", DAY)
    assert outcome.status == "refused"
    assert MOST_REJECTED_ROWS < outcome.rows_read < MOST_REJECTED_ROWS + 2 * BATCH_ROWS
    read = f"{outcome.rows_read:,}"
    assert f"{read} of the first {read} rows (100.0 %) break rules" in outcome.message
    assert "limit 1 %; the rest was not read: `call_id` is empty in " in outcome.message
    assert ledger(delivered) == [(1, "refused", outcome.rows_read, 0, outcome.rows_read, outcome.rows_read)]
