"""Who gets the weekly page of which directorate: a CSV beside that of Airflow's users."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from parc.errors import ConfigurationError
from parc.host import given_files
from parc.settings import Settings

COLUMNS = ["directorate_code", "address"]
_ADDRESS = re.compile(r"[^\s@,;:/?&#%]+@[^\s@,;:/?&#%]+\.[^\s@,;:/?&#%]+")


def addresses_file(settings: Settings) -> Path:
    """The CSV of directorates and addresses; it may be missing unless PARC_WEEKLY_ADDRESSES names it."""
    return settings.weekly_addresses or settings.home / "weekly_addresses.csv"


def addresses(settings: Settings, directorates: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The addresses of each of the directorates, in the order of the file.

    Raises ConfigurationError naming the file and the line that is wrong. It does not repeat an address.
    """
    found: dict[str, list[str]] = {code: [] for code in directorates}
    path = addresses_file(settings)
    if not settings.weekly_addresses and not path.exists():
        return found
    for line, row in given_files.rows(path, COLUMNS):
        code, address = row["directorate_code"], row["address"]
        if code not in found:
            known = ", ".join(directorates)
            raise ConfigurationError(f"{path}, line {line}: '{code}' is no directorate; there are {known}")
        if not address or not _ADDRESS.fullmatch(address):
            raise ConfigurationError(f"{path}, line {line}: this is no mail address")
        if address.lower() not in map(str.lower, found[code]):
            found[code].append(address)
    return found
