"""Switches: one small protocol that every adapter keeps, and the adapter that the settings name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from parc.errors import ConfigurationError, RoutingRefused
from parc.routing.table.content import Content
from parc.settings import Settings

KAMAILIO = "kamailio:"


@dataclass(frozen=True)
class Release:
    """A routing table on its way to the switch, and what it came from (JSON values)."""

    version: str
    content: Content
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Pointer:
    """Which version the switch uses (None: none), which it used before, and the token of the last flip."""

    version: str | None
    previous: str | None
    fence: int


@dataclass(frozen=True)
class Reading:
    """What a switch itself holds under a version, told from the data and not from what was sent.

    `content` is None where it cannot be read; `problems` says why, or in what the data contradict the
    switch's own account of them. Without problems the content is what was staged. `fence` is the token of
    the flip that made it live; 0 where it is not.
    """

    version: str
    content: Content | None
    problems: tuple[str, ...] = ()
    fence: int = 0

    @property
    def digest(self) -> str | None:
        """The digest of the content held."""
        return self.content.digest if self.content else None


def readable(live: Reading | None) -> Content:
    """The content of a reading; raises RoutingRefused saying why there is none."""
    if live is None or live.content is None:
        what = "; ".join(live.problems) if live else "it is empty (`parc routing apply --bootstrap`)"
        raise RoutingRefused(f"the table on the switch cannot be read: {what}")
    return live.content


@dataclass(frozen=True)
class Question:
    """A call that is not placed: who would call which number, when (None: now), and by which slot (None: the
    live one). `asserted` is the number that the network vouches for where the caller withholds it."""

    caller: str
    dialled_number: str
    at: datetime | None = None
    slot: str | None = None
    asserted: str | None = None


@dataclass(frozen=True)
class Answer:
    """How the switch would route it, step by step.

    `by` is what decided the zone: exception, prefix, unknown or withheld. `sites` are the (priority,
    site_code, weight) in the order of the switch, `site_code` the one that it would try first now.
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
        """What is active, without reading it."""

    def read_live(self) -> Reading | None:
        """The active table, read from the switch; None where it has none."""

    def stage(self, release: Release) -> None:
        """Write a release, new or former, where no call looks yet; one cut short is not a release."""

    def verify(self, version: str) -> Reading:
        """Read a staged or former version back."""

    def activate(self, version: str, fence: int) -> None:
        """Make a staged or former version the active one, atomically.

        Raises RoutingRefused when a flip with a newer token has happened, or the version is not there.
        """

    def rollback(self, fence: int) -> None:
        """Make the previously active version active again; raises as `activate`."""

    def drains(self) -> dict[str, datetime]:
        """Sites that get no new call, and until when."""

    def drain(self, site_code: str, until: datetime | None) -> None:
        """Give a site no new call until an instant; None ends that.

        Raises RoutingRefused where the switch knows no drains.
        """

    def ask(self, question: Question) -> Answer | None:
        """How the switch would route a call; None where it cannot be asked."""

    def discard(self, keep: Collection[str]) -> None:
        """Forget versions other than these, the active and the previous one."""


def open_switch(settings: Settings) -> Switch:
    """The switch that `settings.switch` (a URL) names.

    Raises ConfigurationError where it names none that can be opened.
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
            f"the switch {settings.switch} cannot be opened: {error}; is PARC_SWITCH right?"
        ) from error
