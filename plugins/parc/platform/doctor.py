"""Check everything the platform depends on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from parc import desk, machine, routing, storage
from parc.errors import ConfigurationError, ParcError
from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.host import programs, services
from parc.ledger import builds
from parc.loading.names import reported
from parc.loading.pseudonyms import STRONG_KEY, check_key, check_list, weakness
from parc.machine import backups as on_disk
from parc.settings import Settings
from parc.warehouse import connect, logins
from parc.warehouse.schema import inspection, pending_migrations

Look = Callable[[Settings], str]


@dataclass(frozen=True)
class Check:
    """One thing the platform depends on: what was found, and the finding where it needs attention."""

    name: str
    text: str
    finding: Finding | None = None

    @property
    def state(self) -> Literal["ok", "note", "wrong"]:
        """Whether it holds, is worth a look (`note`) or is wrong."""
        if self.finding is None:
            return "ok"
        return "note" if self.finding.is_dismissed else self.finding.severity.value

    @property
    def is_ok(self) -> bool:
        """Nothing is wrong with it; it may still be worth a look."""
        return self.state != "wrong"

    @property
    def command(self) -> str:
        """What settles it, in one line; empty where all is well."""
        return self.finding.command if self.finding else ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values (dates as text)."""
        return {
            **(self.finding.to_json() if self.finding else {}),
            "name": self.name,
            "state": self.state,
            "finding": self.text,
            "command": self.command,
            "is_ok": self.is_ok,
        }


def checks(settings: Settings) -> list[Check]:
    """Every check, in the order in which you would fix them: the environment, then what is on the desk.

    Without a warehouse that is up to date, most checks are left out.
    """
    found = [
        _check("python", FindingKind.PYTHON, _python, settings),
        _check("landing zone", FindingKind.LANDING_ZONE, _landing, settings),
        _check("warehouse", FindingKind.WAREHOUSE, _warehouse, settings),
    ]
    if found[-1].is_ok and not pending_migrations(settings):
        found.append(_logins(settings))
    areas: Sequence[Area] = AREAS
    if found[-1].is_ok:
        on_desk = desk.findings(settings, plan_for=desk.planned_night(settings))
    else:
        on_desk = machine.findings(settings)
    if not found[-1].is_ok or any(finding.kind is FindingKind.SCHEMA for finding in on_desk):
        names = ("schema", "airflow") if found[-1].is_ok else ("airflow",)
        areas = [area for area in AREAS if area.name in names]
    else:
        found.append(_check("pseudonym key", FindingKind.PSEUDONYM_KEY, _pseudonym_key, settings))
        found.append(_check("forgotten", FindingKind.FORGOTTEN, _forgotten, settings))
    found.append(_backups(settings))
    for area in areas:
        there = [finding for finding in on_desk if finding.kind in area.kinds]
        found += [Check(area.name, _text(each), each) for each in there]
        if not there:
            found.append(_check(area.name, area.kinds[0], area.look, settings))
    return found


def _text(finding: Finding) -> str:
    text = f"{finding.subject.name}: {finding.text}"
    return f"{text}; {finding.answer}" if finding.answer else text


def _check(name: str, kind: FindingKind, look: Look, settings: Settings) -> Check:
    try:
        return Check(name, look(settings))
    except ParcError as error:
        steps = [step for step in error.steps if step.command != "parc doctor"]  # which is running
        return _found(name, kind, Severity.WRONG, error.text, *steps)


def _found(name: str, kind: FindingKind, severity: Severity, text: str, *steps: Step) -> Check:
    return Check(name, text, Finding(kind, severity, Subject(name), text, steps))


def _logins(settings: Settings) -> Check:
    """Whether each role can log in, and which rights of readers only a superuser can take away."""
    for role in logins.ROOMS:
        try:
            with connect(settings, role) as connection:
                left = logins.left_to_superuser(connection)
        except ConfigurationError as error:
            step = Step(f"give {logins.login(role)} the password of this platform", "parc up --no-airflow")
            return _found("logins", FindingKind.LOGINS, Severity.WRONG, error.text, step)
    if left:
        script = (settings.project / logins.SUPERUSER).read_text().splitlines()
        step = Step(
            "as a superuser, in this database, before the next `parc up --no-airflow`",
            "\n".join(line for line in script if not line.startswith("--")),
        )
        text = f"readers may {', '.join(left)}; only a superuser can take that away"
        return _found("logins", FindingKind.READER_RIGHTS, Severity.NOTE, text, step)
    return Check("logins", "one for each role, readers can only read")


def _backups(settings: Settings) -> Check:
    """How old the last good backup is, and which moments can be restored."""
    if settings.warehouse_dsn:
        return Check("backups", "its operator's (docs/how-to/back-up-and-restore.md)")
    if settings.backups is None:
        step = Step("keep them: set PARC_BACKUPS to a folder, on another disk if there is one")
        return _found("backups", FindingKind.BACKUP, Severity.NOTE, "none are kept", step)
    text = on_disk.summary(settings)
    if wrong := on_disk.findings(settings):
        return Check("backups", f"{wrong[0].text}; {text}", wrong[0])
    return Check("backups", text)


def _python(_: Settings) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        step = Step("set it up with another Python", "make setup PYTHON=python3.11")
        raise ConfigurationError(f"Python {version}: 3.11 to 3.13 is needed", steps=(step,))
    return version


def _landing(settings: Settings) -> str:
    with storage.opened(settings.landing) as zone:
        feeds = [reported(entry.name) for entry in zone.entries()]
    return f"{settings.landing}: {', '.join(feeds) or 'empty'}"


def _warehouse(settings: Settings) -> str:
    with inspection(settings) as connection:
        info = connection.info
        return f"PostgreSQL {info.server_version // 10000} at {info.host}:{info.port}/{info.dbname}"


def _forgotten(settings: Settings) -> str:
    with connect(settings, "loader") as connection:
        return check_list(connection, settings)


def _pseudonym_key(settings: Settings) -> str:
    with connect(settings, "loader") as connection:
        check_key(connection, settings)
    if why := weakness(settings):
        raise ConfigurationError(
            f"{why}; this warehouse works with no other key, so load a new warehouse from scratch",
            steps=(STRONG_KEY,),
        )
    return "that of the warehouse"


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(settings.home).free
    return f"{free / 1024**3:.0f} GiB free at {settings.home}"


def _schema(_: Settings) -> str:
    return "up to date"


def _airflow(settings: Settings) -> str:
    if not any(program.pid for program in programs.airflow(settings)):
        return services.elsewhere(settings) or "not started (`parc up` starts it)"
    return services.address(settings)


def _deliveries(_: Settings) -> str:
    return "none refused, none missing"


def _marts(settings: Settings) -> str:
    with connect(settings, "reader") as connection:
        published = builds.published(connection)
    return f"build {published.build_id}" if published else "nothing to build yet"


def _routing(settings: Settings) -> str:
    if routing.status(settings).version is None:
        return "no release yet"
    return routing.verify(settings).to_text()


@dataclass(frozen=True)
class Area:
    """Findings that are reported together. `look` gives the text where there are none, and raises ParcError
    for the first kind."""

    name: str
    look: Look
    kinds: tuple[FindingKind, ...]


AREAS = (
    Area("disk", _disk, (FindingKind.DISK,)),
    Area("schema", _schema, (FindingKind.SCHEMA,)),
    Area(
        "airflow",
        _airflow,
        (
            FindingKind.AIRFLOW,
            FindingKind.PROCESS,
            FindingKind.INGEST_RUN_FAILED,
            FindingKind.LATE_RUN_FAILED,
            FindingKind.BUILD_RUN_FAILED,
            FindingKind.BUILD_RUN_OVERDUE,
            FindingKind.RELEASE_RUN_FAILED,
            FindingKind.RELEASE_RUN_OVERDUE,
            FindingKind.MAINTENANCE_RUN_FAILED,
            FindingKind.BACKUP_RUN_FAILED,
            FindingKind.WEEKLY_RUN_FAILED,
        ),
    ),
    Area(
        "deliveries",
        _deliveries,
        (
            FindingKind.REFUSED,
            FindingKind.MISSING,
            FindingKind.MISDATED,
            FindingKind.INTERRUPTED,
            FindingKind.QUARANTINE,
        ),
    ),
    Area(
        "marts",
        _marts,
        (FindingKind.BUILD_FAILED, FindingKind.NOT_BUILT, FindingKind.REPEATED_IDS, FindingKind.SEEDS),
    ),
    Area(
        "routing",
        _routing,
        (
            FindingKind.SWITCH,
            FindingKind.SWITCH_PROCESS,
            FindingKind.DRIFT,
            FindingKind.UNFINISHED_RELEASE,
            FindingKind.HOLD,
            FindingKind.KILL_SWITCH,
            FindingKind.SWITCH_BEHIND,
            FindingKind.WAITING,
            FindingKind.APPROVAL,
            FindingKind.ROUTING_REFUSED,
        ),
    ),
)
