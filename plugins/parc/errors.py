"""Errors with messages for people: what went wrong, where, and how to fix it."""

from __future__ import annotations

from parc.findings import Step


class ParcError(Exception):
    """A failure that the user can fix; the message says what, where and how.

    `steps` are those of the finding that is made of it. Subclasses set `exit_code`, which the command line
    returns.
    """

    exit_code = 1

    def __init__(self, message: str, *, steps: tuple[Step, ...] = ()) -> None:
        super().__init__(message)
        self.steps = steps


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
    """Another run holds the lock; try again when it has ended."""

    exit_code = 8
