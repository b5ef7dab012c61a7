"""What needs attention: the kinds there are, and a finding as data. The desk, `parc status`, `parc doctor`,
notices and the pages all show these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Literal
from urllib.parse import quote

from parc.instants import shown

RUNBOOKS = "docs/runbooks"

AnswerVerdict = Literal["acknowledged", "dismissed", "reopened"]

ANSWER_LASTS = timedelta(days=7)
"""How long an answer to a finding is in force if the person names no end."""


class Severity(StrEnum):
    """How urgent a finding is."""

    WRONG = "wrong"
    """Something failed, or a figure is not what it should be."""
    NOTE = "note"
    """It waits for a decision, or is worth a look."""


class FindingKind(StrEnum):
    """Everything that can need attention. Each kind has a runbook."""

    PYTHON = "python"
    """This Python is not one that the platform runs on."""
    LANDING_ZONE = "landing zone"
    """The landing zone cannot be listed."""
    WAREHOUSE = "warehouse"
    """The warehouse cannot be reached."""
    SCHEMA = "schema"
    """Migrations have not been applied to the warehouse."""
    LOGINS = "logins"
    """A role cannot log in to the warehouse."""
    READER_RIGHTS = "reader rights"
    """Readers have rights that only a superuser can take away."""
    PSEUDONYM_KEY = "pseudonym key"
    """The pseudonym key is not the warehouse's, or is too easily guessed."""
    FORGOTTEN = "forgotten"
    """The warehouse may again hold people who were forgotten."""
    DISK = "disk"
    """Little disk space is left at PARC_HOME."""
    BACKUP = "backup"
    """The last good backup is old, or the server's log is not kept."""
    AIRFLOW = "airflow"
    """Airflow does not answer, or one of its services is down."""
    PROCESS = "process"
    """One of the platform's processes has ended by itself, or keeps ending."""
    SWITCH_PROCESS = "switch process"
    """The platform's own switch has ended by itself."""

    REFUSED = "refused"
    """A delivery was refused as a whole."""
    MISSING = "missing"
    """A delivery is due and has not arrived."""
    MISDATED = "misdated"
    """A published delivery has a date that cannot be right."""
    INTERRUPTED = "interrupted"
    """A load died before its end."""
    QUARANTINE = "quarantine"
    """Nearly as many rows of a delivery were rejected as are allowed."""

    BUILD_FAILED = "build failed"
    """The last build failed, or its process ended before it did."""
    NOT_BUILT = "not built"
    """Published deliveries are not in the marts yet."""
    REPEATED_IDS = "repeated ids"
    """Rows count in no figure, because an earlier date already has their ids."""
    SEEDS = "seeds"
    """Seeds in git cannot be read, or differ from those of the published marts."""

    SWITCH = "switch"
    """The switch cannot be read, or no release can be planned for it."""
    DRIFT = "drift"
    """The switch holds another table than the last release."""
    UNFINISHED_RELEASE = "unfinished release"
    """A release was cut short."""
    HOLD = "hold"
    """A hold keeps every release back."""
    KILL_SWITCH = "kill switch"
    """Routing is disabled."""
    ROUTING_REFUSED = "routing refused"
    """A guard or a gate refuses the next release."""
    WAITING = "waiting"
    """The next release is blocked, needs approval, or would be the first."""
    APPROVAL = "approval"
    """A run of Airflow's waits for an answer under Required Actions."""
    SWITCH_BEHIND = "switch behind"
    """A change is due and not on the switch."""

    INGEST_RUN_FAILED = "ingest run failed"
    """A run of `ingest_<feed>` failed."""
    LATE_RUN_FAILED = "late run failed"
    """A run of `ingest_late` failed."""
    BUILD_RUN_FAILED = "build run failed"
    """A run of `build_marts` failed."""
    BUILD_RUN_OVERDUE = "build run overdue"
    """A run of `build_marts` takes too long."""
    RELEASE_RUN_FAILED = "release run failed"
    """A run of `export_routing` failed."""
    RELEASE_RUN_OVERDUE = "release run overdue"
    """A run of `export_routing` takes too long: often it waits for approval."""
    MAINTENANCE_RUN_FAILED = "maintenance run failed"
    """A run of `maintain_warehouse` failed."""
    BACKUP_RUN_FAILED = "backup run failed"
    """A run of `back_up` failed."""
    WEEKLY_RUN_FAILED = "weekly run failed"
    """A run of `send_weekly_pages` failed."""

    @property
    def slug(self) -> str:
        """The kind as part of an address, such as `build-failed`."""
        return self.value.replace(" ", "-")

    @property
    def runbook(self) -> str:
        """Its runbook, as a path in the repository."""
        return f"{RUNBOOKS}/{self.slug}.md"


def run_path(dag_id: str, run_id: str) -> str:
    """Where the Airflow UI shows a run, below its address."""
    return f"/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


@dataclass(frozen=True)
class Step:
    """One step of a remedy: what to do in words, and the command or the link that does it.

    `link` is a path below Airflow's address, such as `/parc/builds/7`. An alternative is done instead of the
    step before it.
    """

    label: str
    command: str = ""
    link: str = ""
    is_alternative: bool = False

    def to_text(self, airflow: str = "") -> str:
        """One line; `airflow` is the address below which its link is."""
        place = f"{airflow}{self.link}" if airflow else f"{self.link} in Airflow"
        action = self.command or (place if self.link else "")
        line = f"{self.label}: {action}" if action else self.label
        return f"or {line}" if self.is_alternative else line


def with_steps(text: str, steps: Iterable[Step]) -> str:
    """A text, and its steps below it, one per line."""
    return "\n".join([text, *(f"  {step.to_text()}" for step in steps)])


def each_once(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps without those that only repeat an earlier one's command, link or words."""
    found: dict[str, Step] = {}
    for step in steps:
        found.setdefault(step.command or step.link or step.label, step)
    return tuple(found.values())


BUILD = Step("build the marts", "parc build")


@dataclass(frozen=True)
class Subject:
    """What a finding concerns: its name as people read it, and what that names. `release_date` is the date on
    which a release takes effect."""

    name: str
    feed: str | None = None
    first_date: date | None = None
    last_date: date | None = None
    build_id: int | None = None
    release_date: date | None = None
    dag_id: str | None = None
    run_id: str | None = None

    @classmethod
    def deliveries(cls, feed: str, first: date, last: date | None = None) -> Subject:
        """Deliveries of a feed, of one business date or of several in a row."""
        last = last or first
        name = f"{feed} {first}" + (f" to {last}" if last != first else "")
        return cls(name, feed=feed, first_date=first, last_date=last)

    @classmethod
    def build(cls, build_id: int) -> Subject:
        """A build of the marts."""
        return cls(f"build {build_id}", build_id=build_id)

    @classmethod
    def release(cls, release_date: date) -> Subject:
        """A release of the routing table."""
        return cls(f"release for {release_date}", release_date=release_date)


@dataclass(frozen=True)
class FindingAnswer:
    """What a person said about a finding: it is `acknowledged` (somebody is at it) or `dismissed` (it does
    not count), until then (UTC); or it is `reopened`, which takes the answer before back."""

    verdict: AnswerVerdict
    answered_by: str
    reason: str
    until: datetime

    def __str__(self) -> str:
        return f"{self.verdict} by {self.answered_by} until {shown(self.until)}: {self.reason}"


@dataclass(frozen=True)
class Finding:
    """One thing that needs attention: what it concerns, one or two sentences on what is wrong, and the
    steps that settle it. There are no steps where there is nothing to do but know. `answer` is what a person
    said about it, None if nobody did or the answer has ended. `headline` is a short text for the title of a
    notice, empty where `text` is short enough."""

    kind: FindingKind
    severity: Severity
    subject: Subject
    text: str
    steps: tuple[Step, ...] = ()
    answer: FindingAnswer | None = None
    headline: str = ""

    @property
    def id(self) -> str:
        """Eight hex digits that stay the same while the finding does: of its kind and its subject, and of its
        text where the subject is only a name."""
        concerns: dict[str, Any] = asdict(self.subject)
        if set(concerns.values()) <= {self.subject.name, None}:
            concerns["text"] = self.text
        return sha256(repr((self.kind.value, concerns)).encode()).hexdigest()[:8]

    @property
    def is_dismissed(self) -> bool:
        """Somebody said that it does not count."""
        return self.answer is not None and self.answer.verdict == "dismissed"

    @property
    def is_wrong(self) -> bool:
        """Something failed, or a figure is not what it should be; and nobody dismissed it."""
        return self.severity is Severity.WRONG and not self.is_dismissed

    @property
    def command(self) -> str:
        """The steps in one line: commands, and words where a step has none."""
        line = ""
        for step in self.steps:
            between = (", or " if step.is_alternative else ", then ") if line else ""
            line += between + (step.command or step.label)
        return line

    def to_json(self) -> dict[str, Any]:
        """As JSON values (dates as text)."""
        return {
            "kind": self.kind,
            "is_wrong": self.is_wrong,
            "subject": self.subject.name,
            "what": self.text,
            "command": self.command,
            "severity": self.severity,
            "concerns": asdict(self.subject),
            "steps": [asdict(step) for step in self.steps],
            "runbook": self.kind.runbook,
            "id": self.id,
            "answer": asdict(self.answer) if self.answer else None,
        }
