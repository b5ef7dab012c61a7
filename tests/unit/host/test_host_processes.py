"""Programs that run on: started, waited for, found again, stopped."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import psutil
import pytest

from parc.errors import ConfigurationError
from parc.host.processes import Program, StartFailed, free_port, stop, wait_until_ready

PATH = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program("sleeper", "the sleeper", tmp_path / "pid.json", tmp_path / "logs" / "log", "ERROR")


def again(program: Program) -> Program:
    """The same program, as another command finds it."""
    return Program(program.name, program.title, program.pid_file, program.log_path, program.complaint)


def run(program: Program, script: str) -> None:
    program.start(["sh", "-c", script], program.pid_file.parent, PATH)


def test_a_program_keeps_running_until_another_command_stops_it(program: Program) -> None:
    assert program.pid is None and not program.has_crashed
    run(program, "echo hello; sleep 60")
    wait_until_ready([program], lambda: "hello" in program.log_path.read_text(), 10)
    assert again(program).pid == program.pid and not program.has_crashed
    assert program.log_path.stat().st_mode & 0o777 == 0o600
    assert stop([again(program)], seconds=10, with_children=True) == ["sleeper"]
    assert program.pid is None and not program.has_crashed
    assert stop([again(program)], seconds=10) == []


def test_a_program_that_ends_at_start_reports_why(program: Program) -> None:
    program.log_path.parent.mkdir()
    program.log_path.write_text("ERROR: of yesterday\n")
    run(program, "echo 'ERROR: no room'; echo bye")
    with pytest.raises(StartFailed, match="the sleeper ended while starting: ERROR: no room .*log") as caught:
        wait_until_ready([program], lambda: False, 10)
    assert caught.value.program is program
    assert program.has_crashed and again(program).has_crashed


def test_a_program_not_ready_in_time_is_left_running(program: Program) -> None:
    run(program, "exec sleep 60")
    with pytest.raises(ConfigurationError, match=r"not ready within 0.2 s: the sleeper \(log: "):
        wait_until_ready([program], lambda: False, 0.2)
    assert program.pid
    stop([program], seconds=10)


def test_a_program_that_does_not_stop_is_killed_if_allowed(program: Program) -> None:
    run(program, "trap '' TERM; echo ready; while :; do sleep 1; done")
    wait_until_ready([program], lambda: "ready" in program.log_path.read_text(), 10)
    pid = program.pid
    with pytest.raises(ConfigurationError, match=r"not stopped within 0.2 s: the sleeper \(log: "):
        stop([program], seconds=0.2, may_kill=False)
    assert program.pid == pid
    stop([program], seconds=0.2)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid or 0) else [], timeout=10)
    assert program.pid is None


@pytest.mark.parametrize(
    "record", ['{"pid": 1, "created": 0}', '{"pid": 999999999, "created": 0}', "{", "{}"]
)
def test_a_reused_pid_is_not_the_program(program: Program, record: str) -> None:
    program.pid_file.write_text(record)
    assert program.pid is None and program.has_crashed
    assert stop([program], seconds=1) == []
    assert not program.has_crashed


def test_the_record_identifies_the_process(program: Program) -> None:
    run(program, "exec sleep 60")
    assert json.loads(program.pid_file.read_text())["pid"] == program.pid
    stop([program], seconds=10)


def test_an_occupied_port_is_not_chosen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port
