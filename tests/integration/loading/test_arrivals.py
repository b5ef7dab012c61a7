"""Deliveries that the ledger has not seen in their current state: late, restated, sent again, incomplete."""

from __future__ import annotations

import gzip
import json
import os
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import fsspec
import pytest

from parc.errors import ConfigurationError
from parc.loading import has_arrived, ingest, not_built, unseen
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect

FIRST, LAST = date(2012, 4, 16), date(2012, 4, 18)
MARCH, APRIL = date(2012, 3, 1), date(2012, 4, 1)


@pytest.fixture
def landed(warehouse: Settings) -> Settings:
    """Three simulated days, written a while ago: plain files without control files."""
    simulate(FIRST, LAST, scale=0.001, seed=1, out=warehouse.landing)
    for path in Path(warehouse.landing).rglob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    for path in Path(warehouse.landing).rglob("_CONTROL.json"):
        path.unlink()
    for path in Path(warehouse.landing).rglob("*.*"):
        age(path)
    return warehouse


def age(path: Path, minutes: int = 10) -> None:
    then = time.time() - 60 * minutes
    os.utime(path, (then, then))


def files_of(settings: Settings, feed: str, day: date) -> list[Path]:
    return sorted((Path(settings.landing) / feed / f"date={day}").glob(f"{feed}*"))


def found(settings: Settings, first: date = FIRST, last: date = LAST) -> list[tuple[str, date]]:
    return unseen(settings, first, last)


def test_late_deliveries_are_found_references_first_until_loaded(landed: Settings) -> None:
    days = [FIRST, FIRST + timedelta(1), LAST]
    facts = ("boutique_visits", "calls", "interventions")
    everything = found(landed, date(2012, 1, 1))
    references = [each for each in everything if each[0] not in facts]
    assert everything[: len(references)] == references and references
    assert sorted(everything[len(references) :]) == sorted((feed, day) for feed in facts for day in days)
    assert found(landed, LAST, LAST) == [each for each in everything if each[1] == LAST]

    assert ingest(landed, "calls", FIRST).status == "published"
    assert ("calls", FIRST) not in found(landed)
    assert not_built(landed, "calls") == {FIRST}
    assert not_built(landed, "interventions") == set()


def test_restated_and_resent_deliveries_are_found_once(landed: Settings) -> None:
    ingest(landed, "calls", FIRST)
    [file] = files_of(landed, "calls", FIRST)
    text = file.read_text()

    file.write_text("".join(text.splitlines(keepends=True)[:-1]))
    age(file)  # an upload keeps the moment at which it was written elsewhere
    assert ("calls", FIRST) in found(landed)
    assert ingest(landed, "calls", FIRST).status == "published"
    assert ("calls", FIRST) not in found(landed)

    later = time.time() + 2 * 3600  # by a clock that is no clock: more ahead than clocks are
    os.utime(file, (later, later))
    assert ("calls", FIRST) in found(landed)
    renamed = file.rename(file.with_name("calls_again.csv"))
    now = time.time() - 301
    os.utime(renamed, (now, now))
    assert ingest(landed, "calls", FIRST).status == "unchanged"
    assert ("calls", FIRST) not in found(landed)


def test_a_refused_delivery_is_refused_once(landed: Settings) -> None:
    [file] = files_of(landed, "calls", FIRST)
    good = file.read_text()
    file.write_text(good.replace("call_id", "who", 1))
    age(file)
    assert ingest(landed, "calls", FIRST).status == "refused"
    assert ("calls", FIRST) not in found(landed)

    file.write_text(good)
    age(file)
    assert ("calls", FIRST) in found(landed)
    ingest(landed, "calls", FIRST)
    assert ("calls", FIRST) not in found(landed)


def test_files_restored_after_a_refusal_are_found(landed: Settings) -> None:
    """The newest look counts, whichever ledger row it is on."""
    ingest(landed, "calls", FIRST)
    [file] = files_of(landed, "calls", FIRST)
    good = file.read_text()
    file.write_text("who\nme\n")
    age(file)
    assert ingest(landed, "calls", FIRST).status == "refused"
    file.write_text(good)
    age(file)
    assert ("calls", FIRST) in found(landed)
    assert ingest(landed, "calls", FIRST).status == "unchanged"
    assert ("calls", FIRST) not in found(landed)


def test_a_dead_load_is_repeated(landed: Settings) -> None:
    ingest(landed, "calls", FIRST)
    with connect(landed, "loader") as connection:
        connection.execute("update ops.delivery set status = 'audited', published_at = null")
    assert ("calls", FIRST) in found(landed)


def test_deliveries_still_being_written_are_left(landed: Settings, caplog: pytest.LogCaptureFixture) -> None:
    [file] = files_of(landed, "calls", FIRST)
    file.touch()
    with caplog.at_level("INFO"):
        assert ("calls", FIRST) not in found(landed)
    assert f"calls {FIRST} is still being written" in caplog.text
    assert not has_arrived(landed, "calls", FIRST)
    assert has_arrived(landed, "calls", LAST)

    control = file.with_name("_CONTROL.json")
    control.write_text(json.dumps({"rows": 1}))
    assert ("calls", FIRST) in found(landed)
    assert has_arrived(landed, "calls", FIRST)


def test_a_late_control_file_triggers_a_look(landed: Settings) -> None:
    ingest(landed, "calls", FIRST)
    [file] = files_of(landed, "calls", FIRST)
    file.with_name("_CONTROL.json").write_text(json.dumps({"rows": 1}))
    assert ("calls", FIRST) in found(landed)


def test_a_folder_without_data_is_no_delivery(landed: Settings) -> None:
    folder = Path(landed.landing) / "calls" / "date=2012-04-17"
    for path in folder.iterdir():
        path.unlink()
    (folder / "_note.csv").write_text("x")
    (folder / "read.me").write_text("x")
    (Path(landed.landing) / "calls" / "old").mkdir()
    (Path(landed.landing) / "calls" / "old" / "calls.csv").write_text("x")
    days = {day for feed, day in found(landed) if feed == "calls"}
    assert days == {FIRST, LAST}
    assert not has_arrived(landed, "calls", date(2012, 4, 17))
    assert not has_arrived(landed, "calls", date(2012, 5, 17))


def test_a_missing_landing_zone_is_an_error(landed: Settings) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        unseen(replace(landed, landing=f"{landed.landing}/nowhere"), FIRST, LAST)


def test_an_object_store_is_listed_too(landed: Settings) -> None:
    store = fsspec.filesystem("memory")
    for feed in ("calls", "interventions"):
        for path in files_of(landed, feed, FIRST):
            store.pipe(f"/zone/{feed}/date={FIRST}/{path.name}", path.read_bytes())
    in_memory = replace(landed, landing="memory://zone")
    try:
        for path in store.find("/zone"):
            store.store[path].modified = store.modified(path) - timedelta(hours=1)
            store.store[path].created = store.created(path) - timedelta(hours=1)
        assert found(in_memory) == [("calls", FIRST), ("interventions", FIRST)]
        assert ingest(in_memory, "calls", FIRST).status == "published"
        assert found(in_memory) == [("interventions", FIRST)]
    finally:
        store.rm("/zone", recursive=True)
