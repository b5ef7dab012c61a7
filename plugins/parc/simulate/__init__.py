"""A small deterministic synthetic operator, for demonstrations, tests and benchmarks."""

from parc.simulate.errors import SimulationError
from parc.simulate.operator import SimulationSummary, simulate

__all__ = ["SimulationError", "SimulationSummary", "simulate"]
