"""What lies in the landing zone that the ledger has not seen as it lies there now.

One listing per feed; no file is opened.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import fsspec

from parc.errors import ConfigurationError
from parc.feeds import FEEDS, Keeping
from parc.loading.landing import CONTROL, check_root, is_data
from parc.settings import Settings
from parc.warehouse import connect

log = logging.getLogger(__name__)

UPLOAD_PAUSE = timedelta(minutes=1)
"""A delivery without a control file that was written to within this time may still be on its way."""

MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""What the file systems call the moment at which a file was last written."""


@dataclass(frozen=True)
class Arrival:
    """The data files of a feed and a date, names and bytes; `modified_at` is when the last of them or their
    control file was written, None where the file system does not tell."""

    files: frozenset[tuple[str, int]]
    modified_at: datetime | None
    has_control: bool

    @property
    def is_whole(self) -> bool:
        """Whether nobody writes to it any more, as far as can be told."""
        if self.has_control or self.modified_at is None:
            return True
        return abs(datetime.now(UTC) - self.modified_at) > UPLOAD_PAUSE


def unseen(settings: Settings, first: date, last: date) -> list[tuple[str, date]]:
    """Deliveries of the dates `first` to `last` that lie there otherwise than when they were looked at last:
    late, restated and sent again, references first. One still being written is left for the next look.

    A delivery that was refused stays seen until other files lie there, or the same were written again.

    Raises ConfigurationError when the landing zone or the warehouse cannot be read.
    """
    seen = _seen(settings, first, last)
    found = []
    for feed in sorted(FEEDS, key=lambda name: FEEDS[name].keeping is Keeping.DAYS):
        for day, arrival in sorted(arrivals(settings, feed).items()):
            if not first <= day <= last or _is_seen(arrival, seen.get((feed, day))):
                continue
            if arrival.is_whole:
                found.append((feed, day))
            else:
                log.info("%s %s is still being written; left for the next look", feed, day)
    return found


def has_come(settings: Settings, feed: str, business_date: date) -> bool:
    """Whether a delivery of the feed and date lies there, whole.

    Raises ConfigurationError when the landing zone cannot be read.
    """
    arrival = arrivals(settings, feed, business_date).get(business_date)
    return arrival is not None and arrival.is_whole


def not_built(settings: Settings, feed: str) -> set[date]:
    """Dates of the feed that are published and not yet in the marts."""
    with connect(settings, "loader") as connection:
        rows = connection.execute(
            "select business_date from ops.delivery "
            "where feed = %s and status = 'published' and built_in is null",
            [feed],
        ).fetchall()
    return {day for (day,) in rows}


def arrivals(settings: Settings, feed: str, only: date | None = None) -> dict[date, Arrival]:
    """What lies there for a feed, by business date; `only` looks at one.

    Raises ConfigurationError when the landing zone cannot be read, or is not there at all.
    """
    check_root(settings.landing)
    url = f"{settings.landing.rstrip('/')}/{feed}" + (f"/date={only}" if only else "")
    try:
        filesystem, folder = fsspec.core.url_to_fs(url)
        filesystem.invalidate_cache()
        entries = filesystem.find(folder, maxdepth=1 if only else 2, detail=True).values()
    except FileNotFoundError:
        return {}
    except (OSError, ImportError, ValueError) as error:
        raise ConfigurationError(f"{url} cannot be listed: {error}; is PARC_LANDING right?") from error
    by_date: dict[date, list[dict[str, Any]]] = {}
    for entry in entries:
        name = PurePosixPath(entry["name"]).parent.name
        try:
            by_date.setdefault(date.fromisoformat(name.removeprefix("date=")), []).append(entry)
        except ValueError:
            continue
    found = {day: _arrival(entries) for day, entries in by_date.items()}
    return {day: arrival for day, arrival in found.items() if arrival.files}


def _arrival(entries: Iterable[dict[str, Any]]) -> Arrival:
    by_name = {PurePosixPath(entry["name"]).name: entry for entry in entries}
    data = [entry for name, entry in by_name.items() if is_data(name)]
    told = [
        modified
        for name, entry in by_name.items()
        if (is_data(name) or name == CONTROL) and (modified := _modified(entry))
    ]
    return Arrival(
        frozenset((PurePosixPath(entry["name"]).name, entry["size"]) for entry in data),
        max(told, default=None),
        CONTROL in by_name,
    )


def _modified(entry: dict[str, Any]) -> datetime | None:
    value = next((entry[name] for name in MODIFIED if entry.get(name)), None)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else None


@dataclass(frozen=True)
class _Seen:
    """The ledger's newest look at a delivery."""

    files: frozenset[tuple[str, int]]
    at: datetime
    is_over: bool


def _seen(settings: Settings, first: date, last: date) -> dict[tuple[str, date], _Seen]:
    with connect(settings, "loader") as connection:
        rows = connection.execute(
            """
            select distinct on (feed, business_date)
                feed,
                business_date,
                files,
                coalesce(seen_at, landed_at),
                status not in ('landed', 'audited')
            from ops.delivery
            where business_date between %s and %s
            order by feed, business_date, coalesce(seen_at, landed_at) desc, delivery_id desc
            """,
            [first, last],
        ).fetchall()
    return {
        (feed, day): _Seen(frozenset((file["name"], file["bytes"]) for file in files), at, is_over)
        for feed, day, files, at, is_over in rows
    }


def _is_seen(arrival: Arrival, seen: _Seen | None) -> bool:
    """A load that died on its way (`landed`, `audited`) has not seen its files: the next goes on from it."""
    if seen is None or not seen.is_over or seen.files != arrival.files:
        return False
    return arrival.modified_at is None or arrival.modified_at <= seen.at
