"""A platform is destroyed, and comes back as it was at a moment, without anybody who was forgotten."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from parc.backup.taking import expire
from parc.findings import FindingKind
from parc.host import backups, programs
from parc.machine import backups as on_disk
from parc.platform import outages
from parc.pseudonyms import Pseudonyms
from parc.settings import Settings
from support import running
from support.backups import Operator, a_customer, operating
from support.disks import mounted
from support.marts import rows

FIRST = date(2012, 4, 23)
SECOND, THIRD = FIRST + timedelta(days=1), FIRST + timedelta(days=2)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A platform with two nights, a backup after the first, and a person forgotten after the second."""
    folder = tmp_path_factory.mktemp("operator")
    with operating(folder, FIRST, THIRD) as operator:
        operator.night(FIRST)
        operator.parc("backup")
        operator.record()
        operator.night(SECOND)
        operator.record()
        yield operator


@pytest.fixture(scope="module")
def forgotten(operator: Operator) -> str:
    """Who was forgotten after the second night: nothing leads to them."""
    customer = a_customer(operator.settings, FIRST)
    assert trace(operator, customer)
    operator.parc("forget", "--customer", customer, "--yes", "--by", "Anne")
    assert not trace(operator, customer)
    return customer


def trace(operator: Operator, customer: str) -> int:
    """Rows that lead to a customer."""
    key = Pseudonyms.of_settings(operator.settings).of(customer)
    found = [
        rows(operator.settings, f"select count(*) from {table} where customer_key = '{key}'", "admin")[0][0]
        for table in ("raw.calls", "marts.fct_calls")
    ]
    return sum(found)


def folder_of(operator: Operator) -> Path:
    assert operator.settings.backups
    return operator.settings.backups


def test_a_destroyed_platform_is_restored_to_a_moment_between_two_builds(
    operator: Operator, forgotten: str
) -> None:
    before, after = operator.states
    assert before.build_id < after.build_id and before.version != after.version
    operator.destroy()
    said = operator.parc("restore", "--to", before.moment.isoformat(), "--yes", "--by", "Anne")
    assert "forgotten again" in said
    assert f"{before.version} is expected, the switch has {after.version} active" in said
    operator.parc("up", "--no-airflow")
    assert trace(operator, forgotten) == 0, "forgotten after that moment, and still so"
    assert "are forgotten" in operator.parc("doctor", codes=(0, 3))
    [published] = json.loads(operator.parc("sql", "select build_id from marts.published_build", "--json"))
    assert published["build_id"] == before.build_id
    assert rows(operator.settings, "select max(business_date) from marts.fct_calls") == [(FIRST,)]

    # The switch has what the warehouse has not, and nothing is sent to it before a person says so.
    verified = operator.parc("routing", "verify", codes=(6,))
    assert f"{before.version} is expected, the switch has {after.version} active" in verified
    refused = operator.parc("routing", "apply", "--date", str(FIRST), codes=(6,))
    assert "routing is disabled by Anne" in refused
    assert operator.state().version == after.version
    operator.parc("routing", "enable", "--by", "Anne", "--reason", "read")
    operator.parc("routing", "apply", "--date", str(FIRST), "--drift", "adopt", "--by", "Anne")
    assert "is live and complete" in operator.parc("routing", "verify")

    # The nights go on.
    assert "began anew" in operator.parc("doctor", codes=(3,))
    operator.parc("backup")
    operator.night(SECOND)
    operator.night(THIRD)
    assert operator.restored_marts_equal_full_refresh()
    assert trace(operator, forgotten) == 0
    assert "wrong" not in operator.parc("doctor")


def test_a_moment_that_no_backup_reaches_is_refused(operator: Operator) -> None:
    for moment in ("2012-04-30 03:00", "2112-04-30 03:00"):
        said = operator.parc("restore", "--to", moment, "--replace", "--yes", codes=(3,))
        assert "no backup reaches" in said and "what can be restored: " in said
    assert "has a warehouse" in operator.parc("restore", "--latest", "--yes", codes=(3,))


def test_a_killed_backup_is_none_and_the_next_is_whole(operator: Operator) -> None:
    count = len(backups.backups(folder_of(operator)))
    for word in ("copying the server", "verifying"):
        process = operator.begin("backup")
        assert process.stderr
        assert any(word in line for line in process.stderr)
        process.kill()
        process.wait()
    assert len(backups.backups(folder_of(operator))) == count
    operator.parc("backup")
    assert list(folder_of(operator).glob("log-*/.*")) == []
    assert len(backups.backups(folder_of(operator))) == count + 1
    assert "cannot be restored" not in operator.parc("backup", "--check")


def test_a_killed_restore_is_run_again(operator: Operator, forgotten: str) -> None:
    """Nobody reaches the data while they are made ready; killed in the middle, the platform does not start
    with an empty warehouse."""
    now = operator.state()
    operator.parc("stop")
    kept = operator.home
    operator.number += 1
    for word in ("recovering", "forgetting again", "putting it in place"):
        process = operator.begin("restore", "--latest", "--yes", "--by", "Anne")
        assert process.stderr
        assert any(word in line for line in process.stderr)
        if word == "forgetting again":
            server = programs.restoring(operator.settings).process
            assert server and not [each for each in server.net_connections("inet") if each.status == "LISTEN"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    if "interrupted" not in operator.parc("up", "--no-airflow", codes=(0, 3)):
        pytest.skip("the last one was complete before it was killed")
    operator.parc("restore", "--latest", "--yes", "--by", "Anne")
    operator.parc("up", "--no-airflow")
    restored = operator.state()
    assert (restored.build_id, restored.version) == (now.build_id, now.version)
    assert trace(operator, forgotten) == 0
    assert "is live and complete" in operator.parc("routing", "verify")
    shutil.rmtree((kept / "postgres").resolve())


def test_a_damaged_backup_is_found_and_passed_over(operator: Operator) -> None:
    for _ in range(3):  # the last one writes on in the log of the two
        operator.parc("backup")
    newest, older = backups.backups(folder_of(operator))[1:3]
    base = newest.folder / "base.tar.gz"
    data = bytearray(base.read_bytes())
    data[len(data) // 2] ^= 0xFF
    base.write_bytes(data)
    found = operator.parc("backup", "--check", codes=(1,))
    assert f"{base}" in found and "1 backup of" in found
    moment = max(newest.ended_at, older.ended_at)
    assert older in backups.reaching(folder_of(operator), moment)
    kept = operator.home
    operator.number += 1
    said = operator.parc("restore", "--to", moment.isoformat(), "--yes", "--by", "Anne")
    assert "passed over a damaged backup" in said and str(base) in said
    shutil.rmtree((operator.home / "postgres").resolve())
    shutil.rmtree(operator.home)
    operator.number -= 1
    assert operator.home == kept
    backups.remove(newest.folder)


def test_a_full_backup_disk_does_not_stop_the_warehouse(operator: Operator) -> None:
    operator.parc("stop")
    with mounted(operator.folder / "small", 512) as small, started_on(operator, small) as settings:
        given = operator.given | {"PARC_BACKUPS": str(settings.backups)}
        assert "not being kept" not in on_disk.findings(settings)[0].text
        (small / "filler").write_bytes(bytes(480 << 20))
        done = running.parc(operator.home, "build", "--full-refresh", **given)
        assert done.returncode == 0, done.stderr
        time.sleep(6)  # the receiver tries again
        [finding] = on_disk.findings(settings)
        assert finding.kind is FindingKind.BACKUP
        assert "not being kept (0.0 GiB free at" in finding.text
        doctor = running.parc(operator.home, "doctor", **given)
        assert doctor.returncode == 3 and "not being kept (0.0 GiB" in " ".join(doctor.stdout.split())
        refused = running.parc(operator.home, "backup", **given)
        assert refused.returncode == 3 and "a backup needs" in refused.stderr

        # There is room again: the receiver goes on where it was.
        (small / "filler").unlink()
        outages.look(settings, datetime.now(UTC))  # as the supervisor has it done
        deadline = time.monotonic() + 60
        while "not being kept" in on_disk.findings(settings)[0].text:
            assert time.monotonic() < deadline
            time.sleep(1)
        [log] = backups.logs(small / "backups")
        names = sorted(backups.segments(log))
        assert [backups.following(name) for name in names[:-1]] == names[1:], "without a gap"
    operator.parc("up", "--no-airflow")
    assert psutil.pid_exists(programs.log_receiver(operator.settings).pid or -1)


@contextmanager
def started_on(operator: Operator, disk: Path) -> Iterator[Settings]:
    """The platform with its backups on another disk; stopped at the end."""
    (disk / "backups").mkdir(mode=0o700)
    given = operator.given | {"PARC_BACKUPS": str(disk / "backups")}
    try:
        running.parc(operator.home, "up", "--no-airflow", **given)
        yield replace(operator.settings, backups=disk / "backups")
    finally:
        running.parc(operator.home, "stop", **given)


def test_old_backups_are_removed_but_never_the_one_that_is_needed(operator: Operator) -> None:
    root = folder_of(operator)
    operator.parc("backup")
    found = backups.backups(root)
    current = found[0].log
    expire(root, found[0].ended_at - timedelta(days=14), current)
    assert backups.backups(root) == found
    expire(root, datetime.now(UTC), current)
    [kept] = backups.backups(root)
    assert kept == found[0] and backups.logs(root) == [current]
    assert min(backups.segments(current)) == kept.first_segment
    assert kept.reaches() >= kept.ended_at
