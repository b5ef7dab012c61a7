"""The operator's customers: one per line, computed from their index 0..n-1 when needed and never stored.

Customers are laid out in cells (department x market) and, within a cell, in segments by kind of number.
A segment's numbers are consecutive positions of a pool, scattered by a fixed permutation. So every number
belongs to at most one customer, and a population of millions takes no memory.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import polars as pl

from parc.simulate.chance import Bools, Floats, Ints, apportion, hash_unit, permute
from parc.simulate.clock import week_number
from parc.simulate.errors import SimulationError
from parc.simulate.geography import Geography
from parc.simulate.numbering import BLOCK, Numbering

NATION_LINES = 23_000_000
REFERENCE_MONTH = date(2012, 1, 1)
_MARKET_SHARE = np.array([0.50, 0.38, 0.12])
_MONTHLY_GROWTH = np.array([-0.003, 0.002, 0.012])

GEOGRAPHIC, BORDER, PORTED, MOVED, VOIP, MOBILE = range(6)
# The reason given in line_assignments for each kind; the first two are not listed there.
REASONS = (None, None, "ported", "moved", "voip", "mobile")
_KIND_SHARE = np.array([0.725, 0.03, 0.025, 0.025, 0.115, 0.08])
# Share of each kind that line_assignments lists: about 5 million of 23 million lines in all.
_LISTED_SHARE = np.array([0.0, 0.0, 0.95, 0.85, 0.94, 0.85])
# Share of a kind that leaves the list every week; as many others enter it.
_WEEKLY_CHURN = 0.002
_REFERENCE_SPAN = 1_000_000_000
_LINE_STEP = 271_828_183


@dataclass(frozen=True)
class Customers:
    """The fixed traits of some customers, as arrays of equal length.

    `number` is E.164 without `+`. `number_department` is where the prefix places the number, -1 for
    non-geographic numbers. Department and market are the geography's numbers.
    """

    department: Ints
    market: Ints
    kind: Ints
    number: Ints
    number_department: Ints


class Population:
    """All customers of an operator of a given scale (1 = the nation)."""

    def __init__(self, geography: Geography, numbering: Numbering, *, scale: float, seed: int) -> None:
        """Lay out cells and segments; nothing is stored per customer."""
        self._geography = geography
        self._numbering = numbering
        self._seed = seed
        total = round(NATION_LINES * scale)
        weights = geography.department_weight[:, None] * _MARKET_SHARE
        self.lines = apportion(total, weights.ravel()).reshape(weights.shape)
        """Lines per (department, market) in the reference month."""
        self._cell_start = (np.cumsum(self.lines.ravel()) - self.lines.ravel()).reshape(weights.shape)

        department, market, kind, origin, count = _segments(geography, self.lines)
        self._department, self._market, self._kind, self._origin = department, market, kind, origin
        self._start = np.cumsum(count) - count
        self._count = count
        self._pool = np.select(
            [kind == VOIP, kind == MOBILE],
            [np.full(len(kind), numbering.voip_pool), numbering.mobile_pool[department]],
            numbering.department_pool[origin],
        )
        needed = np.bincount(self._pool, weights=count, minlength=len(numbering.pool_blocks))
        if (needed > numbering.pool_blocks * BLOCK).any():
            raise SimulationError(
                f"scale {scale}: more customers than the numbering plan has numbers; lower the scale"
            )
        order = np.argsort(self._pool, kind="stable")
        ordered = self._pool[order]
        before = np.cumsum(count[order]) - count[order]
        first_of_pool = np.searchsorted(ordered, ordered)
        self._pool_start = np.empty_like(before)
        self._pool_start[order] = before - before[first_of_pool]

    def lines_in(self, month: date) -> Ints:
        """Lines per (department, market) in a month: fixed-only lines decline, bundles grow."""
        months = (month.year - REFERENCE_MONTH.year) * 12 + month.month - REFERENCE_MONTH.month
        lines: Ints = np.rint(self.lines * (1 + _MONTHLY_GROWTH) ** months).astype(np.int64)
        return lines

    def draw(self, department: Ints, market: Ints, unit: Floats) -> Ints:
        """Draw a customer of each cell; some customers call far more often than others."""
        size = self.lines[department, market]
        rank = np.floor(size * unit**1.6).astype(np.int64)
        drawn: Ints = self._cell_start[department, market] + permute(rank, size)
        return drawn

    def describe(self, customer: Ints) -> Customers:
        """The fixed traits of these customers."""
        segment = np.searchsorted(self._start, customer, side="right") - 1
        return self._described(segment, customer)

    def _described(self, segment: Ints, customer: Ints) -> Customers:
        pool = self._pool[segment]
        position = self._pool_start[segment] + customer - self._start[segment]
        kind = self._kind[segment]
        return Customers(
            department=self._department[segment],
            market=self._market[segment],
            kind=kind,
            number=self._numbering.number(pool, permute(position, self._numbering.pool_size(pool))),
            number_department=np.where(kind < VOIP, self._origin[segment], -1),
        )

    def personal_mobile(self, customer: Ints) -> Ints:
        """The customer's personal mobile, which the operator does not know."""
        pool = self._numbering.personal_pool
        return self._numbering.number(pool, permute(customer, self._numbering.pool_size(pool)))

    def reference(self, customer: Ints) -> Ints:
        """The customer's number in the customer file: nine digits, unique to each customer."""
        return permute(customer, _REFERENCE_SPAN)

    def customer_refs(self, customer: Ints) -> pl.Series:
        """The customers' references, as the feeds write them."""
        return "C" + pl.Series(self.reference(customer)).cast(pl.String).str.zfill(9)

    def line_refs(self, customer: Ints) -> pl.Series:
        """The references of the customers' lines, as the feeds write them; not those of the customers."""
        line = (self.reference(customer) + _LINE_STEP) % _REFERENCE_SPAN
        return "L" + pl.Series(line).cast(pl.String).str.zfill(9)

    def is_listed(self, customer: Ints, kind: Ints, day: date) -> Bools:
        """Whether line_assignments lists the customer's number in the week of `day`."""
        phase = hash_unit(self._seed, "assignment", customer) + _WEEKLY_CHURN * week_number(day)
        listed: Bools = phase % 1.0 < _LISTED_SHARE[kind]
        return listed

    def listed(self, day: date) -> Customers:
        """The customers that line_assignments lists in the week of `day`, ordered by number."""
        segments = np.flatnonzero(_LISTED_SHARE[self._kind] > 0)
        segment = np.repeat(segments, self._count[segments])
        steps = self._count[segments]
        customer = np.arange(len(segment)) + np.repeat(
            self._start[segments] - (np.cumsum(steps) - steps), steps
        )
        kept = self.is_listed(customer, self._kind[segment], day)
        found = self._described(segment[kept], customer[kept])
        order = np.argsort(found.number)
        return Customers(*(getattr(found, field.name)[order] for field in fields(found)))


def _segments(geography: Geography, lines: Ints) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Segments in customer order: department, market, kind, origin of the number, count."""
    overseas = geography.department_is_overseas
    region = geography.department_region
    rows: list[tuple[int, int, int, int, int]] = []
    for department, market in np.ndindex(*lines.shape):
        share = _KIND_SHARE.copy()
        if overseas[department]:
            share[GEOGRAPHIC] += share[BORDER : MOVED + 1].sum()
            share[BORDER : MOVED + 1] = 0
        others = np.where(overseas, 0.0, geography.department_weight)
        others[department] = 0
        near = np.where(region == region[department], others, 0.0)
        # The only department of a region has no neighbours in it; its border numbers come from anywhere.
        origins = {BORDER: near if near.any() else others, PORTED: near + 0.2 * others, MOVED: others}
        for kind, count in enumerate(apportion(int(lines[department, market]), share)):
            if kind in origins:
                parts = apportion(int(count), origins[kind])
                rows += [(department, market, kind, int(o), int(parts[o])) for o in np.flatnonzero(parts)]
            elif count:
                rows.append((department, market, kind, department, int(count)))
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3], table[:, 4]
