"""Forks loads, dbt and the command line from a process that has imported their libraries.

Great Expectations takes three seconds of processor time to import and dbt more than one, and the tests start
hundreds of such processes. They run the same code as those of a deployed platform, with the same variables.
Tests of how a process starts, is limited or ends use the deployed way: fixture `as_deployed`, and
`support.running`.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any

import pytest

from parc.build import dbt
from parc.loading import isolation

PRELOADED = "support.preloaded_libraries"
CONTEXT: Any = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([PRELOADED])
END_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def start(main: Any, *arguments: Any) -> BaseProcess:
    """Fork a process that calls `main`."""
    process: BaseProcess = CONTEXT.Process(target=main, args=arguments)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # before 3.11.9 it would not find them
        process.start()
    return process


class Forked:
    """A forked process, with what `subprocess.Popen` offers of one."""

    def __init__(self, main: Any, *arguments: Any) -> None:
        self.stdin: Any = None
        self.stdout: Any = None
        self._process = start(main, *arguments)
        self.pid = self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("forked", timeout or 0)
        return self.returncode

    def communicate(self) -> None:
        for stream in (self.stdin, self.stdout):
            stream.close()
        self.wait()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode


def worker(line: Connection, variables: dict[str, str]) -> Forked:
    """As `parc.loading.isolation` starts a load."""
    return Forked(_worker, line, variables)


def dbt_process(log: Path, variables: dict[str, str]) -> Forked:
    """As `parc.build.dbt` starts dbt, with the project parsed, or what it parsed last for this database."""
    log.parent.mkdir(parents=True, exist_ok=True)
    _choose_parsed(log.parent.with_name("target"), variables["PARC_PG_DATABASE"])
    (its_input, to_it), (from_it, its_output) = os.pipe(), os.pipe()
    process = Forked(_dbt, str(log), variables, DupFd(its_input), DupFd(its_output))
    os.close(its_input)
    os.close(its_output)
    process.stdin, process.stdout = os.fdopen(to_it, "w"), os.fdopen(from_it)
    return process


def _choose_parsed(target: Path, database: str) -> None:
    """Point dbt's file of the parsed project, where it is not the checkout's, to this database's own.

    dbt parses the project again, which takes longer than most builds, whenever the database has another name
    than last time.
    """
    target.mkdir(exist_ok=True)
    parsed = target / "partial_parse.msgpack"
    parsed.unlink(missing_ok=True)
    parsed.symlink_to(target / f"{database}.msgpack")


DEPLOYED = isolation._process, dbt._process


def command(arguments: Sequence[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """As a shell starts `parc`, and waits for it."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = Forked(_command, arguments, variables, DupFd(output.fileno()), DupFd(errors.fileno()))
        code = process.wait()
        said = [_read(stream) for stream in (output, errors)]
    return subprocess.CompletedProcess(["parc", *arguments], code, *said)


def patch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork from now on."""
    monkeypatch.setattr(isolation, "_process", worker)
    monkeypatch.setattr(dbt, "_process", dbt_process)


def restore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes as deployed from now on."""
    monkeypatch.setattr(isolation, "_process", DEPLOYED[0])
    monkeypatch.setattr(dbt, "_process", DEPLOYED[1])


def become(variables: dict[str, str]) -> None:
    """In a forked process: have these variables and no others, and end with the process that forked it."""
    ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = None  # found anew, from the variables
    time.tzset()


def _worker(line: Connection, variables: dict[str, str]) -> None:
    from parc.loading.worker import main

    become(variables)
    os.setsid()
    main(line)


def _command(arguments: Sequence[str], variables: dict[str, str], output: Any, errors: Any) -> None:
    global CONTEXT
    become(variables)
    CONTEXT = multiprocessing.get_context("fork")  # what it starts has the libraries too
    patch(pytest.MonkeyPatch())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, number in ((output, 1), (errors, 2)):
        os.dup2(stream.detach(), number)
    _open_streams()
    sys.argv = ["parc", *arguments]
    from parc.cli import main  # measures the terminal

    main()


def _open_streams() -> None:
    # They never close their files: the next process that is forked replaces them.
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, closefd=False) for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )


def _read(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


def _dbt(log: str, variables: dict[str, str], its_input: Any, its_output: Any) -> None:
    from parc.build.dbt_process import main
    from support.preloaded_libraries import parsed

    become(variables)
    for stream, number in ((its_input, 0), (its_output, 1)):
        os.dup2(stream.detach(), number)
    os.dup2(1, 2)
    _open_streams()
    main(log, parsed)
