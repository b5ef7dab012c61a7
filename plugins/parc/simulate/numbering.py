"""A synthetic numbering plan: blocks of 10,000 numbers, their owners, and what the plan says about them.

Geographic blocks are derived from each region's 4-digit default prefixes; no real block is copied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from parc.simulate.chance import Ints, apportion, hash_unit
from parc.simulate.clock import week_number
from parc.simulate.errors import SimulationError
from parc.simulate.geography import Geography

BLOCK = 10_000
CORSE = ("2A", "2B")

_UNRESOLVED_SHARE = 0.003
# New blocks enter the plan one by one during the two years after this Monday.
_LATE_SHARE = 0.01
_LATE_FROM = date(2012, 1, 2)
_LATE_WEEKS = 104
_BLOCKS_PER_ZNE = 6
_OPERATORS = ("FRTE", "OPA1", "OPB2", "OPC3", "OPD4")
_OVERSEAS_CODES = {
    "0590": "590",
    "0594": "594",
    "0596": "596",
    "0262": "262",
    "0269": "262",
    "0690": "590",
    "0694": "594",
    "0696": "596",
    "0692": "262",
    "0639": "262",
}
_OVERSEAS_MOBILE = {"971": "0690", "972": "0696", "973": "0694", "974": "0692", "976": "0639"}
# Saint-Pierre-et-Miquelon: in the plan, outside the operator's regions.
_OUTSIDE = ("050841", "050843")


@dataclass(frozen=True)
class Numbering:
    """Blocks of numbers, grouped in pools.

    `block_stem` is a block's E.164 number without `+` and without its last four digits. Pool p has
    `pool_blocks[p]` blocks, starting at `pool_start[p]`. Each department has a geographic pool
    (`department_pool`; the two departments of Corse share one) and a mobile pool. The first blocks are the
    geographic ones: `prefixes`, with the pool, department (`20` for Corse) and region name of each.
    """

    block_stem: Ints
    pool_start: Ints
    pool_blocks: Ints
    department_pool: Ints
    mobile_pool: Ints
    voip_pool: int
    personal_pool: int
    prefixes: tuple[str, ...]
    prefix_pool: Ints
    prefix_department: tuple[str, ...]
    prefix_region: tuple[str, ...]

    @classmethod
    def of(cls, geography: Geography) -> Numbering:
        """Share out each region's blocks among its departments by weight."""
        stems: list[int] = []
        starts: list[int] = []

        def add_pool(prefixes: Iterable[str]) -> int:
            starts.append(len(stems))
            stems.extend(_stem(prefix) for prefix in prefixes)
            return len(starts) - 1

        four_digits: dict[int, list[str]] = defaultdict(list)
        for prefix, region in geography.default_prefixes:
            four_digits[region].append(prefix)
        codes = geography.department_codes
        department_pool = np.zeros(len(codes), dtype=np.int64)
        prefixes: list[str] = []
        departments: list[str] = []
        regions: list[str] = []
        for region, name in enumerate(geography.region_names):
            # A tenth of each thousand stays free, as in a real plan.
            blocks = [f"{four}{pq:02d}" for four in four_digits[region] for pq in range(90)]
            members: dict[str, list[int]] = defaultdict(list)
            for department in np.flatnonzero(geography.department_region == region):
                code = codes[department]
                members["20" if code in CORSE else code].append(int(department))
            weights = np.array([geography.department_weight[numbers].sum() for numbers in members.values()])
            parts = apportion(len(blocks), weights)
            if members and (parts == 0).any():
                raise SimulationError(
                    f"numbering_default.csv: too few prefixes for region {geography.region_codes[region]} "
                    f"({name}): {len(blocks)} blocks for {len(members)} departments; add some"
                )
            for (code, numbers), end, part in zip(members.items(), np.cumsum(parts), parts, strict=True):
                mine = blocks[end - part : end]
                department_pool[numbers] = add_pool(mine)
                prefixes += mine
                departments += [code] * len(mine)
                regions += [name] * len(mine)
        prefix_pool = np.repeat(np.arange(len(starts)), np.diff([*starts, len(stems)]))

        thousands = (f"{four:04d}" for four in range(600, 680))
        metropolitan = add_pool(
            f"{four}{pq:02d}" for four in thousands if four not in _OVERSEAS_CODES for pq in range(100)
        )
        mobile_pool = np.full(len(codes), metropolitan, dtype=np.int64)
        for code, four in _OVERSEAS_MOBILE.items():
            if code in codes:
                mobile_pool[codes.index(code)] = add_pool(f"{four}{pq:02d}" for pq in range(100))
        voip_pool = add_pool(f"{four:04d}{pq:02d}" for four in range(950, 990) for pq in range(100))
        personal_pool = add_pool(f"{four:04d}{pq:02d}" for four in range(730, 790) for pq in range(100))
        return cls(
            block_stem=np.array(stems),
            pool_start=np.array(starts),
            pool_blocks=np.diff([*starts, len(stems)]),
            department_pool=department_pool,
            mobile_pool=mobile_pool,
            voip_pool=voip_pool,
            personal_pool=personal_pool,
            prefixes=tuple(prefixes),
            prefix_pool=prefix_pool,
            prefix_department=tuple(departments),
            prefix_region=tuple(regions),
        )

    def pool_size(self, pool: Ints | int) -> Ints:
        """How many numbers a pool has."""
        size: Ints = self.pool_blocks[pool] * BLOCK
        return size

    def number(self, pool: Ints | int, position: Ints) -> Ints:
        """The E.164 number (without `+`) at a position of a pool."""
        stem = self.block_stem[self.pool_start[pool] + position // BLOCK]
        number: Ints = stem * BLOCK + position % BLOCK
        return number

    def plan(self, seed: int, day: date) -> pl.DataFrame:
        """The feed `numbering_plan` as of the week of `day`.

        A few blocks have no ZNE, and therefore no department and no region.
        """
        blocks = np.arange(len(self.prefixes))
        late = hash_unit(seed, "late block", blocks) < _LATE_SHARE
        weeks = np.floor(hash_unit(seed, "late block week", blocks) * _LATE_WEEKS)
        opened = ~late | (weeks <= week_number(day) - week_number(_LATE_FROM))
        operator = np.floor(hash_unit(seed, "block operator", blocks) ** 2 * len(_OPERATORS)).astype(np.int64)
        frame = pl.DataFrame(
            {
                "prefix": self.prefixes,
                "operator_code": pl.Series(_OPERATORS).gather(operator),
                "department": self.prefix_department,
                "region": self.prefix_region,
                "area": (blocks - self.pool_start[self.prefix_pool]) // _BLOCKS_PER_ZNE + 1,
                "stated": hash_unit(seed, "unresolved block", blocks) >= _UNRESOLVED_SHARE,
                "opened": opened,
            }
        )
        area = pl.col("area").cast(pl.String)
        zne = pl.col("department") + area.str.zfill(pl.lit(5) - pl.col("department").str.len_chars())
        stated = pl.col("stated")
        known = frame.filter("opened").select(
            "prefix",
            "operator_code",
            zne_insee=pl.when(stated).then(zne),
            zne_name=pl.when(stated).then(pl.lit("ZNE ") + zne),
            department_code=pl.when(stated).then("department"),
            region_2012=pl.when(stated).then("region"),
        )
        outside = pl.DataFrame({"prefix": _OUTSIDE}).with_columns(
            operator_code=pl.lit("OPE5"),
            zne_insee=pl.lit("97502"),
            zne_name=pl.lit("ZNE 97502"),
            department_code=pl.lit("975"),
            region_2012=pl.lit("Saint-Pierre-et-Miquelon"),
        )
        return pl.concat([known, outside]).sort("prefix")


def _stem(prefix: str) -> int:
    return int(_OVERSEAS_CODES.get(prefix[:4], "33") + prefix[1:])
