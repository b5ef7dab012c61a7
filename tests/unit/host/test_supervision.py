"""Programs that die are started again, later and later, and each of it is told once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from parc.host.processes import Program, free_port, stop, wait_until_ready
from parc.host.supervision import LONGEST_WAIT, STABLE, Part, Record, Restart, Watchdog, read

NOW = datetime(2012, 4, 25, 1, 0, tzinfo=UTC)
PATH = {"PATH": "/usr/bin:/bin"}
SECOND = timedelta(seconds=1)


class Started:
    """A program, and how often it was started. `script` is what runs from the next start on; an empty one
    cannot be started."""

    def __init__(self, folder: Path, name: str) -> None:
        self.program = Program(name, f"the {name}", folder / f"{name}.json", folder / f"{name}.log")
        self.script = "exec sleep 60"
        self.starts = 0

    def start(self) -> None:
        self.starts += 1
        if not self.script:
            raise FileNotFoundError("no such program")
        self.program.start(["sh", "-c", self.script], self.program.pid_file.parent, PATH)

    def kill(self) -> None:
        process = self.program.process
        assert process
        process.kill()
        process.wait(10)


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Started]:
    yield from started(tmp_path, "first")


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Started]:
    yield from started(tmp_path, "second")


def started(folder: Path, name: str) -> Iterator[Started]:
    made = Started(folder, name)
    made.start()
    yield made
    stop([made.program], seconds=10)


def watch(folder: Path, *parts: Started) -> Watchdog:
    return Watchdog(
        [Part(part.program, part.start, is_needed_by_others=part is parts[0]) for part in parts],
        folder / "restarts.json",
    )


def test_what_was_killed_is_started_at_once_and_told_once(
    tmp_path: Path, first: Started, second: Started
) -> None:
    watching = watch(tmp_path, first, second)
    alive = first.program.pid
    second.kill()
    for seconds in range(5):
        watching.look(NOW + seconds * SECOND)
    assert second.program.pid and first.program.pid == alive
    assert read(tmp_path / "restarts.json") == Record((Restart("second", NOW, NOW),))
    assert watch(tmp_path, first, second) and len(read(tmp_path / "restarts.json").restarts) == 1


def test_what_was_stopped_stays_stopped(tmp_path: Path, first: Started) -> None:
    stop([first.program], seconds=10)
    watch(tmp_path, first).look(NOW)
    assert first.program.pid is None and first.starts == 1


def test_what_keeps_dying_is_started_later_and_later_until_it_lives(tmp_path: Path, first: Started) -> None:
    watching, now, waits = watch(tmp_path, first), NOW, []
    for count in range(1, 6):
        first.kill()
        died = now
        while first.program.process is None:
            watching.look(now)
            now += SECOND
        waits.append((now - died).seconds - 1)
        assert read(tmp_path / "restarts.json").keep_ending == ({"first": count} if count > 2 else {})
    assert waits == [0, 2, 6, 14, 30]
    assert len(read(tmp_path / "restarts.json").restarts) == 5
    watching.look(now + STABLE)
    assert read(tmp_path / "restarts.json").keep_ending == {}
    first.kill()
    watching.look(now + STABLE + SECOND)
    assert first.program.process


def test_what_cannot_be_started_is_one_line_that_says_why(tmp_path: Path, first: Started) -> None:
    watching = watch(tmp_path, first)
    first.script = ""
    first.kill()
    for seconds in range(int(4 * LONGEST_WAIT / SECOND)):
        watching.look(NOW + seconds * SECOND)
    assert first.starts == 1 + 8 + 2, "after 0, 2, 6, ... 254 s, then every five minutes"
    [told] = read(tmp_path / "restarts.json").restarts
    assert told == Restart("first", NOW, None, "no such program")
    assert read(tmp_path / "restarts.json").keep_ending == {}, "it ended once"
    again = NOW + 5 * LONGEST_WAIT
    watch(tmp_path, first).look(again)  # the supervisor that a failed `parc up` leaves
    assert read(tmp_path / "restarts.json").restarts == (told,), "it ended when it ended"
    first.script = "exec sleep 60"
    first.start()
    watch(tmp_path, first).look(again)
    assert read(tmp_path / "restarts.json").restarts == (Restart("first", NOW, again),)


def test_the_others_wait_for_what_they_need(tmp_path: Path, first: Started, second: Started) -> None:
    watching = watch(tmp_path, first, second)
    first.script = ""
    first.kill()
    second.kill()
    watching.look(NOW)
    assert second.starts == 1
    first.script = "exec sleep 60"
    watching.look(NOW + 3 * SECOND)
    assert first.program.pid and second.program.pid


def test_a_part_that_cannot_be_started_keeps_no_other_back(
    tmp_path: Path, first: Started, second: Started
) -> None:
    watching = watch(tmp_path, Started(tmp_path, "needed"), first, second)
    first.script = ""
    first.kill()
    second.kill()
    watching.look(NOW)
    assert second.program.pid


def test_what_a_dead_program_left_running_is_ended_before_it_starts_again(
    tmp_path: Path, first: Started
) -> None:
    """A child holds the port of a server that was killed."""
    port = free_port()
    stop([first.program], seconds=10)
    serve = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"
    first.script = f'python3 -ESc "{serve}" & wait'
    first.start()
    wait_until_ready([first.program], lambda: free_port(port) != port, 10)
    pid = first.program.pid
    assert pid
    [child] = psutil.Process(pid).children()
    os.kill(pid, signal.SIGKILL)
    psutil.Process(pid).wait(10)
    assert child.is_running() and free_port(port) != port
    watch(tmp_path, first).look(NOW)
    assert not child.is_running()
    wait_until_ready([first.program], lambda: free_port(port) != port, 10)
