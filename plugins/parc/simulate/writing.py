"""Deliveries as the landing zone expects them: data first, the control file last."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from io import BytesIO

import fsspec
import polars as pl

CONTROL = "_CONTROL.json"


@dataclass(frozen=True)
class Delivered:
    """Size of one delivery."""

    rows: int
    bytes: int


class LandingZone:
    """A folder of deliveries behind a URL (a local path, or whatever fsspec knows)."""

    def __init__(self, url: str) -> None:
        """Nothing is touched until the first delivery."""
        self._files, self._root = fsspec.core.url_to_fs(url)

    def deliver(self, feed: str, day: date, frame: pl.DataFrame, *, compressed: bool) -> Delivered:
        """Write one delivery; one of the same feed and day is replaced.

        The control file of a delivery that is replaced goes first and the new one comes last: whoever
        waits for it never pairs it with another delivery's data. Equal frames give equal bytes: polars
        carries its own gzip and writes no time into the header.
        """
        folder = f"{self._root}/{feed}/date={day.isoformat()}"
        name = f"{feed}.csv.gz" if compressed else f"{feed}.csv"
        buffer = BytesIO()
        frame.rechunk().write_csv(
            buffer, compression="gzip" if compressed else "uncompressed", compression_level=6
        )
        content = buffer.getvalue()
        self._files.makedirs(folder, exist_ok=True)
        if self._files.exists(f"{folder}/{CONTROL}"):
            self._files.rm(f"{folder}/{CONTROL}")
        self._files.pipe_file(f"{folder}/{name}", content)
        control = {"rows": frame.height, "sha256": {name: hashlib.sha256(content).hexdigest()}}
        self._files.pipe_file(f"{folder}/{CONTROL}", json.dumps(control).encode())
        return Delivered(frame.height, len(content))
