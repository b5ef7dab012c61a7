"""Switches: one small protocol that every adapter implements, and the adapter that the settings name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from parc.errors import ConfigurationError, RoutingRefused
from parc.findings import Step
from parc.routing.table.content import Content
from parc.settings import Settings

KAMAILIO = "kamailio:"
BOOTSTRAP = Step("release a first table", "parc routing apply --bootstrap")
SEE_LIVE = Step("see what is live", "parc routing status")
UNREADABLE = "unreadable"
"""The version of a reading whose own account of its version cannot be read."""


@dataclass(frozen=True)
class Release:
    """A routing table on its way to the switch, and where it came from (JSON values)."""

    version: str
    content: Content
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Pointer:
    """The version that the switch uses (None: none), the one before it, and the token of the last flip."""

    version: str | None
    previous: str | None
    fence: int


@dataclass(frozen=True)
class Reading:
    """What a switch holds under a version, read from its data and not from what was sent.

    `content` is None if it cannot be read. `problems` says why, or where the data contradict what the switch
    says about them. Without problems, the content is what was staged. `fence` is the token of the flip that
    made it live; 0 if it is not live.
    """

    version: str
    content: Content | None
    problems: tuple[str, ...] = ()
    fence: int = 0

    @property
    def digest(self) -> str | None:
        """The digest of the content."""
        return self.content.digest if self.content else None


def readable(live: Reading | None) -> Content:
    """The content of a reading. Raises RoutingRefused with the reason if there is none."""
    if live is None or live.content is None:
        if live is None:
            raise RoutingRefused("the table on the switch cannot be read: it is empty", steps=(BOOTSTRAP,))
        raise RoutingRefused(f"the table on the switch cannot be read: {'; '.join(live.problems)}")
    return live.content


@dataclass(frozen=True)
class Question:
    """A call that is asked about but not placed: who would call which number, when, and by which slot.

    `at` None is now, `slot` None the live one. `asserted` is the number that the network vouches for if the
    caller withholds it.
    """

    caller: str
    dialled_number: str
    at: datetime | None = None
    slot: str | None = None
    asserted: str | None = None


@dataclass(frozen=True)
class Answer:
    """How the switch would route the call.

    `by` is what decided the zone: exception, prefix, unknown or withheld. `sites` are (priority, site_code,
    weight) in the switch's order; `site_code` is the one that it would try first now.
    """

    slot: str
    version: str
    at: datetime
    market: str
    zone_code: str
    by: str
    band: str
    where: str
    sites: tuple[tuple[int, str, int], ...]
    site_code: str
    address: str


class Switch(Protocol):
    """What a switch must be able to do. Only `activate` and `rollback` change where calls go."""

    def pointer(self) -> Pointer:
        """What is active, without reading its content."""

    def read_live(self) -> Reading | None:
        """The active table, read from the switch; None if it has none."""

    def stage(self, release: Release) -> None:
        """Write a new or former release where no call uses it yet. If cut short, it does not count as one."""

    def verify(self, version: str) -> Reading:
        """Read back a staged or former version."""

    def activate(self, version: str, fence: int) -> None:
        """Make a staged or former version active, atomically.

        Raises RoutingRefused when there was a flip with a newer token, or the version is not there.
        """

    def rollback(self, fence: int) -> None:
        """Make the previous version active again. Raises as `activate` does."""

    def drains(self) -> dict[str, datetime]:
        """The sites that get no new call, and until when."""

    def drain(self, site_code: str, until: datetime | None) -> None:
        """Give a site no new call until an instant; None ends the drain.

        Raises RoutingRefused if the switch does not know drains.
        """

    def ask(self, question: Question) -> Answer | None:
        """How the switch would route a call; None if it cannot be asked."""

    def discard(self, keep: Collection[str]) -> None:
        """Forget all versions but these, the active one and the previous one."""


def open_switch(settings: Settings) -> Switch:
    """The switch that `settings.switch` (a URL) names.

    Raises ConfigurationError if it cannot be opened.
    """
    from parc.routing.switches import local
    from parc.routing.switches.file import FileSwitch
    from parc.routing.switches.kamailio import KamailioSwitch

    if settings.switch.startswith(KAMAILIO):
        return KamailioSwitch(local.socket(settings), local.database(settings), local.secret(settings))
    try:
        return FileSwitch(settings.switch)
    except (OSError, ImportError, ValueError) as error:
        raise ConfigurationError(
            f"the switch {settings.switch} cannot be opened: {error}",
            steps=(Step("set PARC_SWITCH to the switch"),),
        ) from error
