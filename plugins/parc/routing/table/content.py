"""The routing table: six tables in one canonical form. Switches hold this form, and hashes are taken of it.

A switch routes a call as follows:

1. The caller's number gives the zone: by its exception, else by its longest prefix, else `*` (the national
   default). The dialled number gives the market.
2. The band is `open` inside the zone's windows. If zone and market take the route of `*`, it must also be
   inside the windows of `*`. Otherwise the band is `closed`.
3. The sites of zone, market and band take the call: by priority, and within a priority by weight. If there
   are none, the sites of `*` take it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

Frames = Mapping[str, pl.DataFrame]

NATIONAL_ZONE = "*"
BANDS = ("closed", "open")
INSTANT = pl.Datetime("us", "UTC")
INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Shape:
    """A table's columns in order, its unique key, and whether that key is a person's number."""

    columns: dict[str, pl.DataType]
    key: tuple[str, ...]
    has_numbers: bool = False

    @property
    def values(self) -> list[str]:
        """The columns outside the key."""
        return [column for column in self.columns if column not in self.key]


SHAPES: dict[str, Shape] = {
    "services": Shape({"dialled_number": pl.String(), "market": pl.String()}, ("dialled_number",)),
    "prefixes": Shape({"prefix": pl.String(), "zone_code": pl.String()}, ("prefix",)),
    "exceptions": Shape({"number": pl.String(), "zone_code": pl.String()}, ("number",), has_numbers=True),
    "windows": Shape(
        {"zone_code": pl.String(), "opens_at": INSTANT, "closes_at": INSTANT}, ("zone_code", "opens_at")
    ),
    "routes": Shape(
        {
            "zone_code": pl.String(),
            "market": pl.String(),
            "band": pl.String(),
            "priority": pl.Int32(),
            "site_code": pl.String(),
            "weight": pl.Int32(),
        },
        ("zone_code", "market", "band", "priority", "site_code"),
    ),
    "sites": Shape({"site_code": pl.String(), "sip_address": pl.String()}, ("site_code",)),
}


@dataclass(frozen=True)
class Content:
    """A whole routing table in canonical form. Two contents are equal if and only if their digests are."""

    frames: Frames

    @classmethod
    def of(cls, frames: Frames) -> Content:
        """Content from frames that have at least the declared columns; rows may be in any order."""
        return cls({name: canonical(name, frames[name]) for name in SHAPES})

    @classmethod
    def read(cls, files: Mapping[str, bytes]) -> Content:
        """Content from the files of a switch; the digests are taken of these very bytes.

        Raises ValueError naming the first table that is missing or unreadable.
        """
        missing = [name for name in SHAPES if name not in files]
        if missing:
            raise ValueError(f"{missing[0]}: missing")
        content = cls({name: decode(name, files[name]) for name in SHAPES})
        content.__dict__["files"] = dict(files)
        return content

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The canonical bytes of each table."""
        return {name: encode(name, frame) for name, frame in self.frames.items()}

    @cached_property
    def sha256(self) -> dict[str, str]:
        """SHA-256 of each table's canonical bytes."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}

    @cached_property
    def digest(self) -> str:
        """One digest of all tables."""
        return content_digest(self.sha256)

    @property
    def row_counts(self) -> dict[str, int]:
        """Rows per table."""
        return {name: frame.height for name, frame in self.frames.items()}


def canonical(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the table's columns, types and order of rows; instants cut to whole seconds."""
    columns = []
    for column, kind in SHAPES[name].columns.items():
        value = pl.col(column).cast(kind)
        columns.append(value.dt.truncate("1s") if kind == INSTANT else value)
    return frame.select(columns).sort(list(SHAPES[name].columns))


def encode(name: str, frame: pl.DataFrame) -> bytes:
    """Canonical bytes: CSV in UTF-8 with a header, `\\n` line ends, instants as 2012-04-25T06:00:00Z."""
    buffer = io.BytesIO()
    frame.select(list(SHAPES[name].columns)).write_csv(
        buffer, datetime_format=INSTANT_FORMAT, line_terminator="\n", quote_style="necessary"
    )
    return buffer.getvalue()


def decode(name: str, data: bytes) -> pl.DataFrame:
    """The inverse of `encode`. Raises ValueError naming the table when the bytes are not such a table."""
    shape = SHAPES[name]
    try:
        text = pl.read_csv(io.BytesIO(data), infer_schema=False)
        if text.columns != list(shape.columns):
            raise ValueError(f"columns {', '.join(text.columns)} instead of {', '.join(shape.columns)}")
        return text.select(
            pl.col(column).str.to_datetime(INSTANT_FORMAT, time_unit="us", time_zone="UTC")
            if kind == INSTANT
            else pl.col(column).cast(kind)
            for column, kind in shape.columns.items()
        )
    except (pl.exceptions.PolarsError, ValueError) as error:
        # The parser's message quotes the text, which may be a customer's number. Say only what kind it was.
        what = "values of another type" if isinstance(error, pl.exceptions.PolarsError) else str(error)
        raise ValueError(f"{name}: not a routing table: {what}") from None


def content_digest(sha256: Mapping[str, str]) -> str:
    """SHA-256 over the lines `<table> <sha256 of its bytes>`, tables in the order of SHAPES."""
    lines = "".join(f"{name} {sha256[name]}\n" for name in SHAPES)
    return hashlib.sha256(lines.encode()).hexdigest()
