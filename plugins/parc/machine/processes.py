"""The platform's processes that ended by themselves, end again and again, or hang."""

from __future__ import annotations

import shlex
from dataclasses import replace

import psutil

from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.host import heartbeats, programs, services, supervision
from parc.host.processes import Program, read_log
from parc.host.supervision import Record
from parc.instants import shown
from parc.settings import Settings

LOST = {
    "postgresql": " (running loads, builds and releases end too)",
    "scheduler": " (a running build or load that it started ends too)",
}
"""What else ends with a process that is killed."""


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
    start = start_command(settings)
    found = []
    for _, program in all_programs(settings):
        if wrong := _ended(program, record, is_watched, start) or _hanging(
            program, silent, is_watched, start
        ):
            found.append(wrong)
    return found


def why_down(settings: Settings, program: Program) -> Finding | None:
    """What is known of a program that ended by itself; None if it was stopped or runs."""
    if not program.has_crashed:
        return None
    record = supervision.read(supervision.record_file(settings))
    is_watched = programs.supervisor(settings).process is not None
    return _ended(program, record, is_watched, start_command(settings))


def start_command(settings: Settings) -> str:
    """The command that starts what does not run; Airflow too if it was started before."""
    return "parc up" if services.was_started(settings) else "parc up --no-airflow"


def _finding(program: Program, headline: str, text: str, *steps: Step) -> Finding:
    kind = FindingKind.SWITCH_PROCESS if program.name == "kamailio" else FindingKind.PROCESS
    return Finding(kind, Severity.WRONG, subject_of(program), text, steps, headline=headline)


def _ended(program: Program, record: Record, is_watched: bool, start: str) -> Finding | None:
    """A program that ended or keeps ending; None where neither is so."""
    log = f"(log: {program.log_path})"
    often = record.keep_ending.get(program.name)
    if program.has_crashed:
        last = record.unfinished(program.name)
        headline = f"its process ended at {shown(last.ended_at)}" if last else "its process ended"
        step = Step("start it again", start)
        if last and last.problem:
            text = f"{headline}, and starting it again failed: {last.problem}"
            headline += " and cannot be started again"
            return _finding(program, headline, text, read_log(program), step)
        mends = "; the supervisor starts it again" if is_watched else ""
        return _finding(program, headline, f"{headline}{mends} {log}", step)
    if often and is_watched:
        last = next(each for each in reversed(record.restarts) if each.name == program.name)
        headline = f"it ended {often} times in a row, last at {shown(last.ended_at)}, and runs again"
        step = Step("read its log", f"tail -n 50 {shlex.quote(str(program.log_path))}")
        return _finding(program, headline, f"{headline} {log}", step)
    return None


def _hanging(program: Program, silent: dict[str, str], is_watched: bool, start: str) -> Finding | None:
    """The same of a program that runs and does nothing. One that a signal stopped can go on where it was."""
    process = program.process
    if program.name not in silent or process is None:
        return None
    headline = silent[program.name]
    label = f"end it{LOST.get(program.name, '')}" + ("; the supervisor starts it again" if is_watched else "")
    steps = [Step(label, f"kill -9 {process.pid}")]
    if _is_stopped(process):
        headline += "; a signal has stopped it (state T)"
        go_on = Step("let it go on where it was; nothing is lost", f"kill -CONT {process.pid}")
        steps = [go_on, replace(steps[0], is_alternative=True)]
    if not is_watched:
        steps.append(Step("start what is missing", start))
    return _finding(program, headline, f"{headline} (log: {program.log_path})", *steps)


def _is_stopped(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False
