"""The platform's processes that ended by themselves, end again and again, or hang."""

from __future__ import annotations

import shlex

from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.host import heartbeats, programs, services, supervision
from parc.host.processes import Program, read_log
from parc.host.supervision import Record
from parc.instants import shown
from parc.settings import Settings


def all_programs(settings: Settings) -> list[tuple[Subject, Program]]:
    """The processes that this platform may have, running or not."""
    found = [*programs.watched(settings), programs.supervisor(settings)]
    return [(subject_of(program), program) for program in found]


def subject_of(program: Program) -> Subject:
    """What a finding about a process concerns."""
    return Subject(f"airflow {program.name}" if program.name in programs.COMMANDS else program.name)


def findings(settings: Settings) -> list[Finding]:
    """Processes that ended without being stopped, those that end again and again, and those that hang."""
    record = supervision.read(supervision.record_file(settings))
    is_watched = programs.supervisor(settings).process is not None
    silent = heartbeats.silent(settings)
    start = Step("start it again", start_command(settings))
    found = []
    for subject, program in all_programs(settings):
        parts = _parts(program, record, is_watched, start) or _hanging(program, silent, is_watched, start)
        if parts:
            found.append(Finding(_kind(program), Severity.WRONG, subject, *parts))
    return found


def why_down(settings: Settings, program: Program) -> tuple[str, tuple[Step, ...]] | None:
    """What is known of a program that ended by itself, and what to do; None if it was stopped or runs."""
    if not program.has_crashed:
        return None
    record = supervision.read(supervision.record_file(settings))
    is_watched = programs.supervisor(settings).process is not None
    return _parts(program, record, is_watched, Step("start it again", start_command(settings)))


def start_command(settings: Settings) -> str:
    """The command that starts what does not run; Airflow too if it was started before."""
    return "parc up" if services.was_started(settings) else "parc up --no-airflow"


def _kind(program: Program) -> FindingKind:
    return FindingKind.SWITCH_PROCESS if program.name == "kamailio" else FindingKind.PROCESS


def _parts(
    program: Program, record: Record, is_watched: bool, start: Step
) -> tuple[str, tuple[Step, ...]] | None:
    """What is wrong with a program that ended or keeps ending, and what to do; None if nothing is."""
    log = f"(log: {program.log_path})"
    often = record.keep_ending.get(program.name)
    if program.has_crashed:
        last = record.unfinished(program.name)
        text = "its process ended"
        if last:
            text += f" at {shown(last.ended_at)}"
        if last and last.problem:
            return f"{text}, and starting it again failed: {last.problem}", (read_log(program), start)
        return f"{text}{'; the supervisor starts it again' if is_watched else ''} {log}", (start,)
    if often and is_watched:
        last = next(each for each in reversed(record.restarts) if each.name == program.name)
        text = f"it ended {often} times in a row, last at {shown(last.ended_at)}, and runs again {log}"
        return text, (Step("read its log", f"tail -n 50 {shlex.quote(str(program.log_path))}"),)
    return None


def _hanging(
    program: Program, silent: dict[str, str], is_watched: bool, start: Step
) -> tuple[str, tuple[Step, ...]] | None:
    """The same of a program that runs and does nothing."""
    if program.name not in silent or program.pid is None:
        return None
    text = f"{silent[program.name]} (log: {program.log_path})"
    if is_watched:
        return text, (Step("end it, and the supervisor starts it again", f"kill -9 {program.pid}"),)
    return text, (Step("end it", f"kill -9 {program.pid}"), start)
