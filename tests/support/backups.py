"""A platform with backups, and what it held at each moment."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import psutil

from parc.host import processes, programs
from parc.settings import Settings
from support import running
from support.marts import marts

SCALE = "0.001"


@dataclass(frozen=True)
class State:
    """What the platform held from `moment` on, until something was written."""

    moment: datetime
    build_id: int
    digest: str
    version: str | None


@dataclass
class Operator:
    """A platform that keeps backups. Its deliveries, its switch and its backups are on other disks than its
    home, so that they outlive it."""

    folder: Path
    states: list[State] = field(default_factory=list)
    number: int = 1
    own_switch: str | None = None

    @property
    def home(self) -> Path:
        return self.folder / f"home{self.number}"

    @property
    def settings(self) -> Settings:
        return Settings(
            home=self.home,
            landing=str(self.folder / "landing"),
            switch=self.own_switch or str(self.folder / "switch"),
            backups=self.folder / "backups",
        )

    @property
    def given(self) -> dict[str, str]:
        settings = self.settings
        return {
            "PARC_LANDING": settings.landing,
            "PARC_SWITCH": settings.switch,
            "PARC_BACKUPS": str(settings.backups),
        }

    def parc(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """What a command prints; it ends with one of the codes."""
        done = running.parc(self.home, *arguments, **self.given)
        assert done.returncode in codes, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """A command in a process that can be killed."""
        known = {key: value for key, value in os.environ.items() if not key.startswith(running.NOT_ITS)}
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("parc")), *arguments],
            env=known | {"PARC_HOME": str(self.home)} | self.given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def night(self, day: date) -> None:
        """Load, build and release a night; approve what waits for a person."""
        self.parc("nightly", "--date", str(day), codes=(0, 7))
        plan = json.loads(
            running.parc(self.home, "routing", "plan", "--date", str(day), "--json", **self.given).stdout
        )
        if plan["verdict"] == "needs approval":
            self.parc("routing", "apply", "--date", str(day), "--approve", plan["plan_hash"], "--by", "Anne")

    def state(self) -> State:
        """What it holds now."""
        [published] = json.loads(self.parc("sql", "select build_id from marts.published_build", "--json"))
        status = json.loads(self.parc("routing", "status", "--json"))
        return State(datetime.now(UTC), published["build_id"], digest(self.settings), status["version"])

    def record(self) -> State:
        """Keep what it holds now; the next change comes a little later."""
        self.states.append(self.state())
        time.sleep(1.1)
        return self.states[-1]

    def destroy(self) -> None:
        """The machine is lost: its processes die, and all that was in its home is gone."""
        settings = self.settings
        processes.stop([programs.kamailio(settings)], seconds=10)
        for program in (programs.supervisor(settings), programs.postgresql(settings)):
            if process := program.process:
                process.kill()
                psutil.wait_procs([process], timeout=10)
        time.sleep(1)  # the log's receiver has taken what there was
        if receiver := programs.log_receiver(settings).process:
            receiver.kill()
        for left in programs.postgresql(settings).left_behind():
            left.kill()
        shutil.rmtree((self.home / "postgres").resolve())
        shutil.rmtree(self.home)
        self.number += 1

    def restored_marts_equal_full_refresh(self) -> bool:
        """Whether the marts are what a build from nothing gives."""
        incremental = marts(self.settings)
        self.parc("build", "--full-refresh")
        refreshed = marts(self.settings)
        return [name for name in refreshed if refreshed[name] != incremental[name]] == []


def digest(settings: Settings) -> str:
    """A digest of every row of every mart."""
    return sha256(repr(sorted(marts(settings).items())).encode()).hexdigest()


def a_customer(settings: Settings, day: date) -> str:
    """Somebody who called on a date."""
    path = Path(settings.landing) / "calls" / f"date={day}" / "calls.csv.gz"
    with gzip.open(path, "rt", newline="") as stream:
        return next(leg["customer_ref"] for leg in csv.DictReader(stream) if leg["customer_ref"])


@contextmanager
def operating(folder: Path, first: date, last: date, own_switch: str | None = None) -> Iterator[Operator]:
    """Such a platform with deliveries of some dates; stopped and removed at the end."""
    for each in (folder, *folder.parents[:2]):  # the server's user passes through
        each.chmod(0o755)
    (folder / "backups").mkdir(mode=0o700)
    operator = Operator(folder, own_switch=own_switch)
    operator.parc("up", "--no-airflow")
    operator.parc("simulate", "--from", str(first), "--to", str(last), "--scale", SCALE)
    try:
        yield operator
    finally:
        operator.parc("stop")
        shutil.rmtree((operator.home / "postgres").resolve(), ignore_errors=True)
