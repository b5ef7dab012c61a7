"""Deliveries loaded in a separate process, which may hang, be killed or run out of memory."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parc.errors import ConfigurationError
from parc.loading import ingest, loads, unseen
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect
from support.command_line import environment
from support.deliveries import DAY, deliver, ledger, legs, query, raw_tables
from support.marts import restate
from support.workers import worker_of

pytestmark = pytest.mark.usefixtures("as_deployed")
SHORT = timedelta(seconds=15)


@pytest.fixture
def blocked(warehouse: Settings) -> Iterator[Settings]:
    """A published day, restated: its load hangs at the end because somebody keeps reading the feed."""
    simulate(DAY, DAY, scale=0.002, seed=3, out=warehouse.landing)
    assert ingest(warehouse, "calls", DAY).status == "published"
    restate(warehouse, DAY, drop=1)
    long_ago = time.time() - 3600
    for path in (Path(warehouse.landing) / "calls" / f"date={DAY}").iterdir():
        os.utime(path, (long_ago, long_ago))
    with connect(warehouse, "reader") as reader:
        reader.execute("select 1 from raw.calls limit 1")
        yield warehouse


def status_of_newest(settings: Settings) -> str:
    [(status,)] = query(settings, "select status from ops.delivery order by delivery_id desc limit 1")
    return str(status)


def wait_until_it_hangs(settings: Settings) -> None:
    for _ in range(600):
        if status_of_newest(settings) == "audited":
            return
        time.sleep(0.1)
    pytest.fail("the load never got that far")


def test_a_hanging_load_is_ended_and_its_delivery_refused(blocked: Settings) -> None:
    with loads(blocked, longest=SHORT) as load:
        outcome = load.ingest("calls", DAY)
        assert outcome.status == "refused"
        assert outcome.message.endswith("(delivery 2): its load had not ended after 0.25 minutes")
        assert [status for _, status, *_ in ledger(blocked)] == ["published", "refused"]
        assert raw_tables(blocked) == ["calls__20120425_1"]
        assert ("calls", DAY) not in unseen(blocked, DAY, DAY)
        assert load.ingest("active_lines", DAY).status == "published", "the next is loaded as ever"


def test_a_load_that_is_killed_refuses_its_delivery(blocked: Settings) -> None:
    def kill() -> None:
        wait_until_it_hangs(blocked)
        worker_of(psutil.Process()).kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with loads(blocked) as load:
        outcome = load.ingest("calls", DAY)
    killer.join()
    assert outcome.status == "refused" and "(delivery 2): its load was ended by SIGKILL" in outcome.message
    assert [status for _, status, *_ in ledger(blocked)] == ["published", "refused"]


def test_an_error_of_a_load_keeps_its_steps(warehouse: Settings, tmp_path: Path) -> None:
    settings = replace(warehouse, landing=str(tmp_path / "nowhere"))
    with loads(settings) as load, pytest.raises(ConfigurationError, match="does not exist") as stop:
        load.ingest("calls", DAY)
    assert [step.label for step in stop.value.steps] == [
        "set PARC_LANDING to where deliveries arrive",
        "create the folder",
    ]


def test_a_load_gets_only_the_secrets_it_needs(warehouse: Settings, monkeypatch) -> None:
    """It reads untrusted files, so it must not have Airflow's or the switch's keys or the notice URLs."""
    for name in ("AIRFLOW__API_AUTH__JWT_SECRET", "PARC_SWITCH_SECRET", "PARC_NOTICE_URLS_FILE"):
        monkeypatch.setenv(name, "not for loads")
    with loads(warehouse) as load:
        load.ingest("calls", DAY)
        known = worker_of(psutil.Process()).environ()
    assert "not for loads" not in known.values() and "PYTHONPATH" in known


def test_a_load_ends_with_its_parent_process(blocked: Settings) -> None:
    command = [str(Path(sys.executable).with_name("parc")), "ingest", "calls", "--date", str(DAY)]
    with subprocess.Popen(command, env=os.environ | environment(blocked), stderr=subprocess.PIPE) as asked:
        wait_until_it_hangs(blocked)
        worker = worker_of(psutil.Process(asked.pid))
        asked.send_signal(signal.SIGKILL)
        worker.wait(10)
    assert ("calls", DAY) in unseen(blocked, DAY, DAY), "what nobody refused is loaded by the next look"


def test_a_file_that_exceeds_the_memory_limit_is_refused(warehouse: Settings) -> None:
    rows = pa.Table.from_pylist(legs(1)).take(pa.array([0] * 30))
    chance = random.Random(0)  # so that no limit of expansion refuses the file first
    ids = pa.array([chance.randbytes(1 << 18).hex() + "0" * (19 << 20) for _ in range(30)])
    folder = deliver(warehouse, "calls", DAY)
    table = rows.set_column(0, "call_id", ids)
    pq.write_table(table, folder / "calls.parquet", use_dictionary=False, compression="zstd")
    assert (folder / "calls.parquet").stat().st_size < 10 << 20
    with loads(warehouse) as load:
        load.ingest("boutiques", DAY)
        worker = worker_of(psutil.Process())
        held = worker.memory_info().data
        resource.prlimit(worker.pid, resource.RLIMIT_DATA, (held + (400 << 20), resource.RLIM_INFINITY))
        outcome = load.ingest("calls", DAY)
        assert outcome.status == "refused" and len(outcome.message) < 1000, outcome.message
        assert load.ingest("active_lines", DAY).status == "missing"
    assert [status for _, status, *_ in ledger(warehouse)] == ["refused"]
