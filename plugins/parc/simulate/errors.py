"""Errors of the simulation."""

from parc.errors import ParcError


class SimulationError(ParcError):
    """The request or the governed seeds do not describe an operator that can be simulated."""

    exit_code = 2
