"""Erlang C: how long calls wait, given their load and the number of agents.

Calls arrive at random, wait in one queue until an agent is free, and no caller gives up: the M/M/N queue of
A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic
telephone exchanges" (1917). The load is in erlangs: the handle seconds
that arrive in an interval / the seconds of the interval.
"""

from __future__ import annotations

import math

HALF_HOUR_SECONDS = 1800


def wait_probability(load: float, positions: int) -> float:
    """Probability (0-1) that a call waits (Erlang C); 1 if the load reaches the number of positions.

    Computed from Erlang B by its recursion, B(0) = 1 and B(n) = load x B(n-1) / (n + load x B(n-1)), which
    neither overflows nor cancels as the sum of load^n / n! does; then C = B / (1 - occupancy x (1 - B))
    (R. B. Cooper, "Introduction to Queueing Theory", 2nd edition, 1981, chapter 3).
    """
    if load <= 0:
        return 0.0
    if load >= positions:
        return 1.0
    blocked = 1.0
    for n in range(1, positions + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked / (1 - load / positions * (1 - blocked))


def service_level(load: float, positions: int, handle_seconds: float, within_seconds: float) -> float:
    """Share (0-1) of calls answered within `within_seconds` t, when a call takes `handle_seconds` h:
    1 - C x exp(-(positions - load) x t / h), because the wait of those that wait is exponential
    (Cooper, as above). 0 if the load reaches the number of positions: then the queue only grows."""
    if load <= 0:
        return 1.0
    if load >= positions:
        return 0.0
    still_waiting = math.exp(-(positions - load) * within_seconds / handle_seconds)
    return 1 - wait_probability(load, positions) * still_waiting


def occupancy(load: float, positions: int) -> float:
    """Load / positions: the share of the agents' time that the load takes; infinite without positions."""
    if positions > 0:
        return load / positions
    return math.inf if load > 0 else 0.0


def positions_required(
    load: float, handle_seconds: float, *, target: float, within_seconds: float, max_occupancy: float
) -> int:
    """The fewest positions at which occupancy is at most `max_occupancy` (0-1) and at least the share
    `target` (0-1) of calls is answered within `within_seconds`."""
    positions = 0
    while (
        occupancy(load, positions) > max_occupancy
        or service_level(load, positions, handle_seconds, within_seconds) < target
    ):
        positions += 1
    return positions


def staffed(positions: int, shrinkage: float) -> int:
    """The agents to employ for `positions` on the phone, if the share `shrinkage` (0-1) of them is on
    leave, in training or on a break."""
    return math.ceil(positions / (1 - shrinkage))
