"""What may go wrong, as a person should read it: the thing, the place and the way out."""


class ParcError(Exception):
    """A failure that is the user's to mend; the message says what, where and how.

    Subclasses set `exit_code`, which the command line returns.
    """

    exit_code = 1


class ConfigurationError(ParcError):
    """The environment is not what the platform needs (settings, server, ports)."""

    exit_code = 3


class DeliveryRefused(ParcError):
    """A delivery was refused as a whole; the published day is untouched."""

    exit_code = 4


class BuildFailed(ParcError):
    """A build failed or its tests did; the marts are those of the last good build."""

    exit_code = 5


class PanelRefused(ParcError):
    """A panel does not say what an effect could be estimated from."""


class RoutingRefused(ParcError):
    """A routing release was refused or rolled back; the switch keeps its table."""

    exit_code = 6


class ApprovalNeeded(RoutingRefused):
    """A routing plan waits for a person's approval."""

    exit_code = 7


class Busy(ParcError):
    """Another run holds the lock; try again when it has ended."""

    exit_code = 8
