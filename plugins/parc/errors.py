"""Errors for people: what went wrong and where, and the steps that fix it."""

from __future__ import annotations

from parc.findings import Step, with_steps
from parc.printable import uncoloured

WAIT = (Step("see what is running", "parc status"), Step("run this again when it has ended"))


class ParcError(Exception):
    """A failure that the user can fix.

    `text` says what happened, where, and what it means; `steps` say what to do. As a string it is both, for
    the command line and for logs. Subclasses set `exit_code`, which the command line returns.
    """

    exit_code = 1

    def __init__(self, text: str, *, steps: tuple[Step, ...] = ()) -> None:
        self.text = uncoloured(text)  # another program's message may be part of it
        super().__init__(self.text)
        self.steps = steps

    def __str__(self) -> str:
        return with_steps(self.text, self.steps)


def parts_of(error: BaseException) -> tuple[str, tuple[Step, ...]]:
    """The text and the steps of an error; one that is not ours has no steps."""
    return (error.text, error.steps) if isinstance(error, ParcError) else (uncoloured(str(error)), ())


class ConfigurationError(ParcError):
    """The environment (settings, server, ports) does not meet the platform's needs."""

    exit_code = 3


class DeliveryRefused(ParcError):
    """A delivery was refused as a whole; what is published for its day is unchanged."""

    exit_code = 4


class BuildFailed(ParcError):
    """A build or its tests failed; the marts still show the last good build."""

    exit_code = 5


class PanelRefused(ParcError):
    """A panel is not suitable for estimating an effect."""


class RoutingRefused(ParcError):
    """A routing release was refused or rolled back; the switch keeps its table."""

    exit_code = 6


class ApprovalNeeded(RoutingRefused):
    """A routing plan waits for a person's approval."""

    exit_code = 7


class Busy(ParcError):
    """Another run holds the lock."""

    exit_code = 8

    def __init__(self, text: str, *, steps: tuple[Step, ...] = WAIT) -> None:
        super().__init__(text, steps=steps)
