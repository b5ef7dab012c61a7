"""Reproducible chance: independent random streams per purpose and day, and hashes of fixed identities.

A stream depends only on (seed, purpose, day): a day comes out the same whatever range is simulated, and a
new purpose never changes the draws of another. Permanent traits of a customer (a habit, a number) are a
hash of the customer, so the population needs no storage.
"""

from __future__ import annotations

import zlib
from datetime import date

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# A prime larger than any population or number pool: multiplying by it permutes them.
_PRIME = 2_147_483_647


def _code(purpose: str) -> int:
    return zlib.crc32(purpose.encode())


def stream(seed: int, purpose: str, day: date) -> np.random.Generator:
    """The random stream of one purpose on one day."""
    return np.random.Generator(np.random.PCG64([seed, _code(purpose), day.toordinal()]))


def hash_unit(seed: int, purpose: str, keys: Ints) -> Floats:
    """A fixed number in [0, 1) for each key (SplitMix64, Steele et al. 2014)."""
    salt = (seed * 0x9E3779B97F4A7C15 + _code(purpose) * 0xD1B54A32D192ED03) % 2**64
    x = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    unit: Floats = (x >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return unit


def permute(position: Ints, size: Ints | int) -> Ints:
    """Map positions 0..size-1 one to one onto scattered positions 0..size-1."""
    scattered: Ints = (position * _PRIME + 7_919) % size
    return scattered


def apportion(total: int, weights: Floats) -> Ints:
    """Split `total` into whole parts by weight; the parts add up to `total` exactly."""
    if not weights.size or weights.sum() <= 0:
        return np.zeros(weights.size, dtype=np.int64)
    edges = np.rint(np.cumsum(weights) / weights.sum() * total).astype(np.int64)
    parts: Ints = np.diff(edges, prepend=0)
    return parts


class Choices:
    """Several discrete distributions over the same outcomes, one per row."""

    def __init__(self, weights: Floats) -> None:
        """`weights` is (distributions, outcomes); each row needs a positive sum."""
        share = np.cumsum(weights, axis=1)
        share /= share[:, -1:]
        share[:, -1] = 1.0
        self._outcomes = weights.shape[1]
        self._edges = (share + np.arange(len(weights))[:, None]).ravel()

    def draw(self, row: Ints, unit: Floats) -> Ints:
        """Draw from the distributions numbered `row`, each with its `unit` in [0, 1)."""
        found = np.searchsorted(self._edges, row + unit, side="right")
        outcome: Ints = np.minimum(found - row * self._outcomes, self._outcomes - 1).astype(np.int64)
        return outcome
