"""The map of the departments: a square each, on a grid of our own (`assets/department_tiles.csv`), grouped by
region."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

from parc.settings import Settings
from parc.ui.html import ASSETS

TilePlace = tuple[int, int]

UNKNOWN = "unknown"
UNKNOWN_PLACE = (2, 11)
NARROW, WIDE = 0.0, 0.07
"""Half the gap between squares of one region, and of two."""


@dataclass(frozen=True)
class Square:
    """A department's square in a cell of the grid, in units of cells."""

    department_code: str
    column: int
    row: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Region:
    """The squares of a region."""

    region_code: str
    squares: tuple[Square, ...]


@dataclass(frozen=True)
class TileMap:
    """All regions, overseas and unknown ones too; `columns` x `rows` is the size of the grid."""

    regions: tuple[Region, ...]
    columns: int
    rows: int


@cache
def tile_map(settings: Settings) -> TileMap:
    """The map, of the departments in the project's seed."""
    with (ASSETS / "department_tiles.csv").open(newline="") as file:
        places = {
            row["department_code"]: (int(row["tile_column"]), int(row["tile_row"]))
            for row in csv.DictReader(file)
        }
    with (settings.project / "dbt_project/seeds/departments.csv").open(newline="") as seed:
        departments = [row for row in csv.DictReader(seed) if row["department_code"] in places]
    region_at = {places[row["department_code"]]: row["region_code"] for row in departments}
    squares: dict[str, list[Square]] = {}
    for row in departments:
        code, region = row["department_code"], row["region_code"]
        squares.setdefault(region, []).append(_square(code, places[code], region_at))
    squares[UNKNOWN] = [_square("?", UNKNOWN_PLACE, {UNKNOWN_PLACE: UNKNOWN})]
    return TileMap(
        tuple(Region(code, tuple(found)) for code, found in sorted(squares.items())),
        columns=max(x for x, _ in places.values()) + 1,
        rows=max(y for _, y in places.values()) + 1,
    )


def _square(code: str, place: TilePlace, region_at: dict[TilePlace, str]) -> Square:
    x, y = place
    region = region_at[place]
    left, right, top, bottom = (
        NARROW if region_at.get(next_to) == region else WIDE
        for next_to in ((x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1))
    )
    return Square(
        code,
        x,
        y,
        round(x + left, 2),
        round(y + top, 2),
        round(1 - left - right, 2),
        round(1 - top - bottom, 2),
    )
