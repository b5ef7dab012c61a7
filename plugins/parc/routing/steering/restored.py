"""What a restored warehouse knows of the switch, against what the switch holds. Nothing here changes the
switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection

from parc.errors import ParcError, parts_of
from parc.ledger import releases, write_releases
from parc.routing.steering.drafting import drift_of
from parc.routing.switches import KAMAILIO, Reading, local, open_switch
from parc.routing.switches.memory import Memory
from parc.settings import Settings


@dataclass(frozen=True)
class RunningSwitch:
    """What the switch holds, read before anything is restored. Of a switch that cannot be read, `problem`
    says why, and `version` is known if its memory still answers."""

    reading: Reading | None
    version: str | None
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return f"{self.version or 'an unknown table'} ({self.problem})"
        if self.reading is None:
            return "no table"
        return f"{self.version}" + (f" ({'; '.join(self.reading.problems)})" if self.reading.problems else "")


def read_running(settings: Settings) -> RunningSwitch:
    """Read the switch, or at least what its memory says."""
    try:
        live = open_switch(settings).read_live()
        return RunningSwitch(live, live.version if live else None)
    except (ParcError, OSError, psycopg.Error) as error:
        problem = parts_of(error)[0]
    version = None
    if settings.switch.startswith(KAMAILIO):
        try:
            memory = Memory(local.socket(settings))
            if slot := memory.active():
                version = memory.version(slot)
        except (ParcError, OSError):
            problem = "the switch does not answer"
    return RunningSwitch(None, version, problem)


def reconcile(
    connection: Connection[Any], running: RunningSwitch, *, is_switch_restored: bool, set_by: str, reason: str
) -> str:
    """Compare what the switch holds with the last release that a restored warehouse knows of; returns the
    difference, empty if there is none. If there is one, or the switch's own database was restored too,
    routing is disabled until a person enables it. Later releases get greater tokens than the switch has."""
    if running.reading:
        write_releases.raise_fence(connection, running.reading.fence + 1)
    recorded = releases.last_activated(connection)
    if not running.problem:
        drift = drift_of(connection, running.reading)
        difference = drift.detail if drift else ""
    elif recorded is None and running.version is None:
        difference = ""
    else:
        expected = f"{recorded.version} is expected" if recorded else "no release was recorded"
        difference = f"{expected}, the switch holds {running}"
    if difference or is_switch_restored:
        why = difference or "the switch's database was restored too"
        write_releases.record_kill_switch(connection, "disabled", set_by=set_by, reason=f"{reason}: {why}")
    return difference


def forget_in_database(connection: Connection[Any], numbers_of: Any) -> int:
    """Delete numbers from the tables of a switch's database that no switch has read yet; `numbers_of` picks
    them from a column of numbers. Returns how many there were; former tables go as a whole."""
    count = 0
    for slot in ("a", "b"):
        rows = connection.execute(f"select number from slot_{slot}.exceptions").fetchall()
        if found := numbers_of([number for (number,) in rows]):
            connection.execute(f"delete from slot_{slot}.exceptions where number = any (%s)", [found])
            count += len(found)
    connection.execute("truncate switch.kept_release, switch.kept_table")
    return count
