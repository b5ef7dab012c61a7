"""Starts programs again that ended by themselves, and keeps a record of it for the desk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from parc.errors import parts_of
from parc.host.processes import Program, run_folder
from parc.settings import Settings

LONGEST_WAIT = timedelta(minutes=5)
STABLE = timedelta(minutes=10)
"""Whoever has lived this long has recovered: what came before is history."""
REPORTED_AFTER = timedelta(seconds=10)
"""What is down for longer is reported to people; the supervisor may mend it before."""
MANY_ENDS = 3
"""From so many ends on, each within STABLE of the one before, a program keeps ending."""
RESTARTS_KEPT = 50
RESTARTS_SHOWN = 5


@dataclass(frozen=True)
class Part:
    """A program, and how it is started again. Where the others need it, they wait until it runs."""

    program: Program
    restart: Callable[[], object]
    is_needed_by_others: bool = False


@dataclass(frozen=True)
class Restart:
    """A program that ended by itself: when that was seen and when it was started again (UTC; None as long as
    that has not worked, and then `problem` says why)."""

    name: str
    ended_at: datetime
    restarted_at: datetime | None = None
    problem: str = ""


@dataclass(frozen=True)
class Record:
    """The last restarts, oldest first, and by name the programs that keep ending, with how often they did."""

    restarts: tuple[Restart, ...] = ()
    keep_ending: dict[str, int] = field(default_factory=dict)

    def unfinished(self, name: str) -> Restart | None:
        """The restart of a program that has not worked yet; None if it needs none."""
        found = [each for each in self.restarts if each.name == name and not each.restarted_at]
        return found[-1] if found else None


def read(path: Path) -> Record:
    """The record in a file; empty if there is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return Record()
    instants = ("ended_at", "restarted_at")
    restarts = [
        Restart(**each | {name: datetime.fromisoformat(each[name]) for name in instants if each[name]})
        for each in found["restarts"]
    ]
    return Record(tuple(restarts), found["keep_ending"])


def last(settings: Settings) -> tuple[Restart, ...]:
    """The last few restarts of a platform, oldest first."""
    return read(record_file(settings)).restarts[-RESTARTS_SHOWN:]


def record_file(settings: Settings) -> Path:
    """The file of a platform's record."""
    return run_folder(settings) / "restarts.json"


@dataclass
class _Ends:
    """How often a program ended in a row, and how often it could not be started since; when either was last,
    when it is started next, and its restart that has not worked yet."""

    count: int = 0
    failed_starts: int = 0
    last_at: datetime | None = None
    next_at: datetime | None = None
    unfinished: Restart | None = None

    def wait(self, now: datetime) -> None:
        """It has ended, or could not be started, once more."""
        self.last_at = now
        seconds = 2 ** min(self.count + self.failed_starts, 16) - 2
        self.next_at = now + min(timedelta(seconds=seconds), LONGEST_WAIT)


class Watchdog:
    """Looks at programs and starts again what ended: at once the first time, then after 2, 6, 14 s and so on,
    up to LONGEST_WAIT, until the program has lived for STABLE."""

    def __init__(self, parts: Sequence[Part], path: Path) -> None:
        """`path` is the file of the record."""
        self._parts = parts
        self._path = path
        known = read(path).restarts
        self._finished = [each for each in known if each.restarted_at]
        self._written: Record | None = None
        self._ends = {part.program.name: _Ends() for part in parts}
        for each in known:  # the supervisor before this one left it to us, or a person has started it since
            if not each.restarted_at and each.name in self._ends:
                self._ends[each.name] = _Ends(1, last_at=each.ended_at, unfinished=each)

    def look(self, now: datetime) -> None:
        """Start again what has ended and whose wait is over."""
        for part in self._parts:
            self._look_at(part, self._ends[part.program.name], now)
            if part.is_needed_by_others and part.program.has_crashed:
                break
        unfinished = [ends.unfinished for ends in self._ends.values() if ends.unfinished]
        self._finished = self._finished[-RESTARTS_KEPT:]
        keep_ending = {name: ends.count for name, ends in self._ends.items() if ends.count >= MANY_ENDS}
        self._write(Record((*self._finished, *unfinished), keep_ending))

    def trouble(self, now: datetime) -> frozenset[str]:
        """The programs that keep ending, or have been down for REPORTED_AFTER."""
        return frozenset(
            name
            for name, ends in self._ends.items()
            if ends.count >= MANY_ENDS
            or (ends.unfinished and now - ends.unfinished.ended_at >= REPORTED_AFTER)
        )

    def _look_at(self, part: Part, ends: _Ends, now: datetime) -> None:
        if part.program.has_crashed:
            if ends.unfinished is None:
                ends.count += 1
                ends.wait(now)
                ends.unfinished = Restart(part.program.name, now)
            if ends.next_at and now < ends.next_at:
                return
            try:
                part.restart()
            except Exception as error:  # whatever it is, the others are still to be watched
                ends.failed_starts += 1
                ends.wait(now)
                ends.unfinished = replace(ends.unfinished, problem=parts_of(error)[0].strip())
                return
        if ends.unfinished:
            self._finished.append(replace(ends.unfinished, restarted_at=now, problem=""))
            ends.unfinished, ends.failed_starts = None, 0
        elif ends.last_at and now - ends.last_at >= STABLE:
            ends.count, ends.last_at = 0, None

    def _write(self, found: Record) -> None:
        if found == self._written:
            return
        draft = self._path.with_suffix(".draft")
        with suppress(OSError):  # the disk is full: it is written once there is room
            draft.write_text(json.dumps(asdict(found), default=datetime.isoformat))
            draft.replace(self._path)
            self._written = found
