"""The platform's processes that ended by themselves."""

from __future__ import annotations

import shlex

from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.host import services, supervision
from parc.host.processes import Program
from parc.host.supervision import Record
from parc.instants import shown
from parc.routing.switches import local
from parc.settings import Settings
from parc.warehouse import embedded


def programs(settings: Settings) -> list[tuple[Subject, Program]]:
    """The processes that this platform may have, running or not."""
    switch = [("kamailio", local.program(settings))] if local.is_own(settings) else []
    services_ = [(f"airflow {program.name}", program) for program in services.programs(settings)]
    own = ("postgresql", embedded.program(settings)), ("supervisor", supervision.program(settings))
    return [(Subject(name), program) for name, program in (*own, *switch, *services_)]


def findings(settings: Settings) -> list[Finding]:
    """Processes that ended without being stopped, and those that end again and again. This looks at no
    database: whoever cannot reach the embedded one says so."""
    record = supervision.read(supervision.record_file(settings))
    is_watched = supervision.program(settings).process is not None
    return [
        Finding(_kind(program), Severity.WRONG, subject, *parts)
        for subject, program in programs(settings)
        if (parts := _parts(program, record, is_watched))
    ]


def _kind(program: Program) -> FindingKind:
    return FindingKind.SWITCH_PROCESS if program.name == "kamailio" else FindingKind.PROCESS


def _parts(program: Program, record: Record, is_watched: bool) -> tuple[str, tuple[Step, ...]] | None:
    """What is wrong with a program, and what to do; None if nothing is."""
    log = f"(log: {program.log_path})"
    often = record.keep_ending.get(program.name)
    if program.has_crashed:
        unfinished = [each for each in record.restarts if each.name == program.name and not each.restarted_at]
        last = unfinished[-1] if unfinished else None
        text = "its process ended"
        if last:
            text += f" at {shown(last.ended_at)}"
        if last and last.problem:
            text += f", and starting it again failed: {last.problem}"
        else:
            text += f"{'; the supervisor starts it again' if is_watched else ''} {log}"
        return text, (Step("start it again", "parc up"),)
    if often and is_watched:
        last = next(each for each in reversed(record.restarts) if each.name == program.name)
        text = f"it ended {often} times in a row, last at {shown(last.ended_at)}, and runs again {log}"
        return text, (Step("read its log", f"tail -n 50 {shlex.quote(str(program.log_path))}"),)
    return None
