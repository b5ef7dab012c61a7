"""Reports what is wrong with the machine, once, and its end; the warehouse may be what is down.

`python -m parc.platform.outages` looks once and ends; the supervisor runs it. What was reported is in
`run/outages.json` until it has ended and everybody knows, and in `ops.notice` once the warehouse answers.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from parc import machine
from parc.errors import ConfigurationError
from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.host import sending, supervision
from parc.host.processes import run_folder
from parc.host.sending import Notification
from parc.host.supervision import REPORTED_AFTER
from parc.ledger import notices, write_notices
from parc.machine import backups, processes
from parc.platform import lost
from parc.settings import Settings
from parc.warehouse import connect

OWNER = "data-platform"
ROOM = 1 << 16
"""Bytes of the file, kept while there are any: a full disk must not stop a notice."""
PROCESSES = (FindingKind.PROCESS, FindingKind.SWITCH_PROCESS)


@dataclass(frozen=True)
class Outage:
    """Something of the machine that failed, and what was reported of it. It is stored once `ops.notice` has
    it as it stands."""

    finding: Finding
    notification: Notification
    is_stored: bool = False

    @property
    def key(self) -> tuple[FindingKind, str]:
        """What tells one cause from another."""
        return self.finding.kind, self.finding.subject.name

    @property
    def is_over(self) -> bool:
        """Nothing is left to be reported or stored."""
        return (
            self.is_stored and self.notification.ended_at is not None and self.notification.retry_at is None
        )


def look(settings: Settings, now: datetime) -> None:
    """Report what is new, report what has ended, and try again what some address did not take."""
    with suppress(OSError):  # its finding says what is wrong with the disk
        backups.mend(settings)
    path = run_folder(settings) / "outages.json"
    known = _read(path)
    found = _outside_warehouse(settings) + machine.findings(settings)
    wrong = {(each.kind, each.subject.name): each for each in _wrong_for_long(settings, found, now)}
    outages = [_looked_at(each, _may_be_wrong(settings, each, found), now) for each in known]
    under_way = {each.key for each in outages if each.notification.ended_at is None}
    outages += [_new(settings, finding, now) for key, finding in wrong.items() if key not in under_way]
    _write(path, outages)  # if this fails, nothing is sent: it would be sent again and again
    for number, each in enumerate(outages):
        if each.notification.retry_at and each.notification.retry_at <= now:
            outages[number] = replace(each, notification=each.notification.sent(now), is_stored=False)
            _write(path, outages)
    if not {"postgresql", "warehouse"} & {name for _, name in wrong}:
        outages = _with_the_warehouse(settings, outages, now)
    _write(path, [each for each in outages if not each.is_over])


def _wrong_for_long(settings: Settings, on_machine: Sequence[Finding], now: datetime) -> list[Finding]:
    """Of what is found, what is wrong, without what the supervisor may mend by itself within REPORTED_AFTER.
    While PostgreSQL is down, the processes that need it are no cause of their own."""
    record = supervision.read(supervision.record_file(settings))
    by_subject = {subject.name: program for subject, program in processes.all_programs(settings)}
    found = []
    for finding in on_machine:
        is_passing = False
        if (program := by_subject.get(finding.subject.name)) and program.has_crashed:
            ended = record.unfinished(program.name)  # None before the supervisor has noticed
            is_passing = ended is None or now - ended.ended_at < REPORTED_AFTER
        if finding.severity is Severity.WRONG and not is_passing:
            found.append(finding)
    if any(finding.subject.name == "postgresql" for finding in found):
        return [each for each in found if each.kind not in PROCESSES or each.subject.name == "postgresql"]
    return found


def _may_be_wrong(settings: Settings, outage: Outage, on_machine: Sequence[Finding]) -> bool:
    """Whether something that was reported has not certainly ended. A program that ended is mended once the
    supervisor has seen it run: a start may be on its way, and fail. Of the processes that need PostgreSQL
    nothing is known while it is down."""
    record = supervision.read(supervision.record_file(settings))
    wrong = {each.subject.name for each in on_machine if each.severity is Severity.WRONG}
    for subject, program in processes.all_programs(settings):
        if program.was_started and record.unfinished(program.name):
            wrong.add(subject.name)
    needs_postgresql = outage.finding.kind in PROCESSES
    return outage.finding.subject.name in wrong or (needs_postgresql and "postgresql" in wrong)


def _outside_warehouse(settings: Settings) -> list[Finding]:
    """Whether a warehouse that others run answers; the embedded one is a process of ours."""
    if settings.warehouse_dsn:
        try:
            with connect(settings, "reader"):
                pass
        except ConfigurationError as error:
            subject = Subject("warehouse")
            kind, headline = FindingKind.WAREHOUSE, "it cannot be reached"
            return [Finding(kind, Severity.WRONG, subject, error.text, error.steps, headline=headline)]
    return []


def _looked_at(outage: Outage, may_be_wrong: bool, now: datetime) -> Outage:
    if may_be_wrong or outage.notification.ended_at:
        return outage
    ended = replace(outage.notification, ended_at=now, retry_at=now)
    return replace(outage, notification=ended, is_stored=False)


def _new(settings: Settings, finding: Finding, now: datetime) -> Outage:
    title = f"{finding.subject.name}: {finding.headline or finding.text}"
    lines = [f"{finding.subject.name}: {finding.text}", ""]
    # No link: Airflow may be what is down.
    body = sending.body(lines, settings, finding.steps, finding.kind, airflow="")
    return Outage(finding, Notification(title, body, now, retry_at=now))


def _with_the_warehouse(settings: Settings, outages: Sequence[Outage], now: datetime) -> list[Outage]:
    """Store the outages, send again what was reported of runs and not taken, and report what was lost."""
    try:
        with connect(settings, "loader", autocommit=True) as connection:
            for each in outages:
                if not each.is_stored:
                    write_notices.keep_outage(connection, each.finding, each.notification, owner=OWNER)
            for notice_id, notification in notices.to_send_again(connection, now).items():
                write_notices.update(connection, notice_id, notification.sent(now))
            lost.report(settings, connection, now)
    except ConfigurationError as error:
        logging.error("what was reported is not in ops.notice: %s", error)
        return list(outages)
    return [replace(each, is_stored=True) for each in outages]


def _read(path: Path) -> list[Outage]:
    try:
        rows = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return [
        Outage(
            Finding(
                FindingKind(row["kind"]),
                Severity.WRONG,
                Subject(row["subject"]),
                row["text"],
                tuple(Step(**step) for step in row["steps"]),
            ),
            Notification(
                **row["notification"]
                | {
                    name: datetime.fromisoformat(value)
                    for name, value in row["notification"].items()
                    if name in ("at", "retry_at", "ended_at") and value
                }
            ),
            row["is_stored"],
        )
        for row in rows
    ]


def _write(path: Path, outages: Sequence[Outage]) -> None:
    rows = [
        {
            "kind": each.finding.kind,
            "subject": each.finding.subject.name,
            "text": each.finding.text,
            "steps": [asdict(step) for step in each.finding.steps],
            "notification": asdict(each.notification),
            "is_stored": each.is_stored,
        }
        for each in outages
    ]
    with path.open("r+" if path.exists() else "w") as file:
        file.write(json.dumps(rows, default=datetime.isoformat).ljust(ROOM))
        file.truncate()


if __name__ == "__main__":
    os.umask(0o077)
    logging.basicConfig(format="%(asctime)s %(message)s")
    look(Settings.from_env(), datetime.now(UTC))
