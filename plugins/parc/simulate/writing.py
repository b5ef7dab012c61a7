"""Deliveries as the landing zone expects them: data first, the control file last."""

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
class Delivery:
    """One delivery before it is written: its data file, and what its control file says of it."""

    feed: str
    day: date
    name: str
    content: bytes
    rows: int
    sha256: str

    @classmethod
    def of(cls, feed: str, day: date, frame: pl.DataFrame) -> Delivery:
        """The delivery of a frame; equal frames give equal bytes.

        Polars carries its own gzip and writes no time into the header.
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
    def of_text(cls, feed: str, day: date, text: bytes, *, rows: int) -> Delivery:
        """The delivery of a file's text as it stands, compressed where the feed is."""
        name = f"{feed}.csv.gz" if feed in COMPRESSED else f"{feed}.csv"
        content = gzip.compress(text, 6, mtime=0) if feed in COMPRESSED else text
        return cls(feed, day, name, content, rows, hashlib.sha256(content).hexdigest())


class LandingZone:
    """A folder of deliveries behind a URL (a local path, or whatever fsspec knows)."""

    def __init__(self, url: str) -> None:
        """Nothing is touched until the first delivery.

        Raises ConfigurationError, as every method does, where nothing can be written.
        """
        self._url = url
        with self._told():
            self._files, self._root = storage.connect(url)

    def write(self, delivery: Delivery) -> None:
        """Write a delivery; one of the same feed and day is replaced.

        The control file of a delivery that is replaced goes first and the new one comes last: whoever
        waits for it never pairs it with another delivery's data.
        """
        folder = self._folder(delivery.feed, delivery.day)
        control = {"rows": delivery.rows, "sha256": {delivery.name: delivery.sha256}}
        with self._told():
            self._files.makedirs(folder, exist_ok=True)
            if self._files.exists(f"{folder}/{CONTROL}"):
                self._files.rm(f"{folder}/{CONTROL}")
            self._files.pipe_file(f"{folder}/{delivery.name}", delivery.content)
            self._files.pipe_file(f"{folder}/{CONTROL}", json.dumps(control).encode())

    def withdraw(self, feed: str, day: date) -> None:
        """Leave nothing of a delivery there."""
        with self._told():
            if self._files.exists(folder := self._folder(feed, day)):
                self._files.rm(folder, recursive=True)

    def read_json(self, name: str) -> Any:
        """The content of a JSON file beside the feeds; None where there is none."""
        path = f"{self._root}/{name}"
        with self._told():
            return json.loads(self._files.cat_file(path)) if self._files.exists(path) else None

    def write_json(self, name: str, value: object) -> None:
        """Write a JSON file beside the feeds."""
        with self._told():
            self._files.makedirs(self._root, exist_ok=True)
            self._files.pipe_file(f"{self._root}/{name}", json.dumps(value, indent=1).encode())

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ImportError, ValueError) as error:
            place = self._url if len(self._url) <= LONGEST_PLACE else f"{self._url[:LONGEST_PLACE]}..."
            why = getattr(error, "strerror", None) or error
            raise ConfigurationError(f"{place}: no deliveries can be written there: {why}") from None

    def _folder(self, feed: str, day: date) -> str:
        return f"{self._root}/{feed}/date={day.isoformat()}"
