"""Which files of the landing zone hold a person: all that lie there are read, whatever became of them."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

import polars as pl

from parc import storage
from parc.feeds import FEEDS, Column, Feed, Personal
from parc.loading.blocks import UnreadableFile
from parc.loading.landing import DeliveredFile, is_data, place_of
from parc.loading.reader import read
from parc.numbers import e164
from parc.pseudonyms import Pseudonyms
from parc.settings import Settings
from parc.storage import Folder

_FOLDER = "date="


@dataclass(frozen=True)
class Search:
    """Files of the landing zone, by their place in it: those that hold the person, and those that cannot be
    read."""

    holding: tuple[str, ...]
    unreadable: tuple[str, ...]


def search(settings: Settings, pseudonyms: Collection[UUID]) -> Search:
    """Look for the pseudonyms in every file of every feed that has personal columns.

    Raises ConfigurationError when the landing zone cannot be read.
    """
    known = Pseudonyms.of_settings(settings)
    holding, unreadable = [], []
    with storage.opened(settings.landing) as zone, tempfile.TemporaryDirectory(dir=settings.home) as copies:
        for feed, business_date, place in _files(zone):
            personal = pl.any_horizontal(
                known.is_of(_read(column), pseudonyms) for column in feed.file_columns if column.personal
            )
            try:
                if _has(zone, place, feed, business_date, personal, Path(copies)):
                    holding.append(place)
            except UnreadableFile:
                unreadable.append(place)
    return Search(tuple(holding), tuple(unreadable))


def delete(settings: Settings, places: Collection[str]) -> None:
    """Delete files from the landing zone, by their place in it.

    Raises ConfigurationError when one cannot be deleted.
    """
    with storage.opened(settings.landing) as zone:
        for place in places:
            zone.delete(place)


def _files(zone: Folder) -> Iterator[tuple[Feed, date, str]]:
    for feed in FEEDS.values():
        if not any(column.personal for column in feed.file_columns) or not zone.has(feed.name):
            continue
        for folder in zone.entries(feed.name):
            try:
                business_date = date.fromisoformat(folder.name.removeprefix(_FOLDER))
            except ValueError:
                continue
            place = place_of(feed.name, business_date)
            for entry in zone.entries(place):
                if entry.is_file and is_data(entry.name):
                    yield feed, business_date, f"{place}/{entry.name}"


def _read(column: Column) -> pl.Expr:
    """The column's texts as the loader makes pseudonyms of them."""
    text = pl.col(column.name)
    return e164(text) if column.personal is Personal.NUMBER else text


def _has(zone: Folder, place: str, feed: Feed, business_date: date, personal: pl.Expr, copies: Path) -> bool:
    if zone.is_on_disk:
        path = Path(zone.path) / place
    else:
        path = copies / "file"
        zone.copy(place, path)
    file = DeliveredFile(Path(place).name, place, path, path.stat().st_size, "", 0)
    due = {column.name for column in feed.file_columns if column.personal}
    for block in read(file, feed, business_date):
        rows = block.rows.with_columns(
            pl.lit(None, pl.String).alias(name) for name in due - {*block.rows.columns}
        )
        if rows.select(personal.any()).item():
            return True
    return False
