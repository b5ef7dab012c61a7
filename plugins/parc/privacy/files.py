"""Finds the files in the landing zone that hold a person. It reads every file there, whether or not it was
loaded, and whatever its folder is called.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePath
from uuid import UUID

import polars as pl

from parc import storage
from parc.feeds import FEEDS, Column, Feed, Personal
from parc.loading.blocks import UnreadableFile
from parc.loading.control import is_control
from parc.loading.landing import COPIES, DeliveredFile, is_companion, is_data
from parc.loading.reader import read
from parc.numbers import e164
from parc.pseudonyms import Pseudonyms
from parc.settings import Settings
from parc.storage import Entry, Folder

_FOLDER = "date="
_SOME_DATE = date(2000, 1, 1)  # stands in for folders not named after a date


@dataclass(frozen=True)
class FileSearch:
    """Paths of files in the landing zone: those that hold the person, and those that cannot be read or are
    not data files by their name."""

    holding: tuple[str, ...]
    unreadable: tuple[str, ...]


def search(settings: Settings, pseudonyms: Collection[UUID]) -> FileSearch:
    """Search every file of every feed with personal columns for the pseudonyms.

    The caller must hold `locks.SEARCH`. Raises ConfigurationError if the landing zone cannot be read.
    """
    known = Pseudonyms.of_settings(settings)
    holding, unreadable = [], []
    copies = settings.home / COPIES / "search"
    with storage.opened(settings.landing) as zone, _recreated(copies):
        for feed, business_date, place in _files(zone):
            if not is_data(Path(place).name):
                unreadable.append(place)
                continue
            personal = pl.any_horizontal(
                known.matches(_read(column), pseudonyms) for column in feed.file_columns if column.personal
            )
            try:
                if _has(zone, place, feed, business_date, personal, copies):
                    holding.append(place)
            except (UnreadableFile, OSError):
                unreadable.append(place)
    return FileSearch(tuple(holding), tuple(unreadable))


def delete(settings: Settings, places: Collection[str]) -> None:
    """Delete files from the landing zone, given by their path in it.

    Raises ConfigurationError if one cannot be deleted.
    """
    with storage.opened(settings.landing) as zone:
        for place in places:
            zone.delete(place)


def _files(zone: Folder) -> Iterator[tuple[Feed, date, str]]:
    for feed in FEEDS.values():
        if not any(column.personal for column in feed.file_columns) or not zone.has(feed.name):
            continue
        for folder, entry in _entries(zone, feed.name):
            if not entry.is_file or is_companion(entry.name) or is_control(entry.name):
                continue
            try:
                business_date = date.fromisoformat(PurePath(folder).name.removeprefix(_FOLDER))
            except ValueError:
                business_date = _SOME_DATE
            yield feed, business_date, f"{folder}/{entry.name}"


def _entries(zone: Folder, folder: str) -> Iterator[tuple[str, Entry]]:
    """Everything in a folder and its subfolders, each entry with its folder."""
    for entry in zone.entries(folder):
        if entry.kind == "folder":
            yield from _entries(zone, f"{folder}/{entry.name}")
        else:
            yield folder, entry


@contextmanager
def _recreated(folder: Path) -> Iterator[None]:
    """A fresh empty folder, without leftovers of a killed search; removed at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read(column: Column) -> pl.Expr:
    """The column's texts in the form from which the loader makes pseudonyms."""
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
