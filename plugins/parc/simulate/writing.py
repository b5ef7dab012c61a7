"""Writes deliveries as the landing zone expects them: data first, the control file last."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import Any

import polars as pl

from parc import storage
from parc.errors import ConfigurationError

CONTROL = "_CONTROL.json"
LONGEST_PLACE = 200
COMPRESSED = ("calls", "boutique_visits", "interventions")


@dataclass(frozen=True)
class SimulatedDelivery:
    """One delivery before it is written: its data file and the contents of its control file."""

    feed: str
    day: date
    name: str
    content: bytes
    rows: int
    sha256: str

    @classmethod
    def of(cls, feed: str, day: date, frame: pl.DataFrame) -> SimulatedDelivery:
        """The delivery of a frame; equal frames give equal bytes.

        Polars has its own gzip, which writes no timestamp into the header.
        """
        is_compressed = feed in COMPRESSED
        buffer = BytesIO()
        frame.rechunk().write_csv(
            buffer, compression="gzip" if is_compressed else "uncompressed", compression_level=6
        )
        name = f"{feed}.csv.gz" if is_compressed else f"{feed}.csv"
        content = buffer.getvalue()
        return cls(feed, day, name, content, frame.height, hashlib.sha256(content).hexdigest())

    @classmethod
    def of_text(cls, feed: str, day: date, text: bytes, *, rows: int) -> SimulatedDelivery:
        """The delivery of a file's exact text, compressed if the feed is."""
        name = f"{feed}.csv.gz" if feed in COMPRESSED else f"{feed}.csv"
        content = gzip.compress(text, 6, mtime=0) if feed in COMPRESSED else text
        return cls(feed, day, name, content, rows, hashlib.sha256(content).hexdigest())


class LandingZone:
    """A folder of deliveries at a URL (a local path or any URL fsspec supports)."""

    def __init__(self, url: str) -> None:
        """Connect to the landing zone; nothing is written until the first delivery.

        Like every method, raises ConfigurationError if the landing zone cannot be written to.
        """
        self._url = url
        with self._writing():
            self._files, self._root = storage.connect(url)

    def write(self, delivery: SimulatedDelivery) -> None:
        """Write a delivery, replacing any of the same feed and day.

        The old control file is removed first and the new one written last, so a reader that waits for the
        control file never pairs it with another delivery's data.
        """
        folder = self._folder(delivery.feed, delivery.day)
        control = {"rows": delivery.rows, "sha256": {delivery.name: delivery.sha256}}
        with self._writing():
            self._files.makedirs(folder, exist_ok=True)
            if self._files.exists(f"{folder}/{CONTROL}"):
                self._files.rm(f"{folder}/{CONTROL}")
            self._files.pipe_file(f"{folder}/{delivery.name}", delivery.content)
            self._files.pipe_file(f"{folder}/{CONTROL}", json.dumps(control).encode())

    def withdraw(self, feed: str, day: date) -> None:
        """Remove a delivery completely."""
        with self._writing():
            if self._files.exists(folder := self._folder(feed, day)):
                self._files.rm(folder, recursive=True)

    def read_json(self, name: str) -> Any:
        """The content of a JSON file beside the feeds; None if there is no such file."""
        path = f"{self._root}/{name}"
        with self._writing():
            return json.loads(self._files.cat_file(path)) if self._files.exists(path) else None

    def write_json(self, name: str, value: object) -> None:
        """Write a JSON file beside the feeds."""
        with self._writing():
            self._files.makedirs(self._root, exist_ok=True)
            self._files.pipe_file(f"{self._root}/{name}", json.dumps(value, indent=1).encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ImportError, ValueError) as error:
            place = self._url if len(self._url) <= LONGEST_PLACE else f"{self._url[:LONGEST_PLACE]}..."
            why = getattr(error, "strerror", None) or error
            raise ConfigurationError(f"{place}: cannot write deliveries here: {why}") from None

    def _folder(self, feed: str, day: date) -> str:
        return f"{self._root}/{feed}/date={day.isoformat()}"
