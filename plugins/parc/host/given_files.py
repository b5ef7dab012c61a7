"""Tables that an installation gives as CSV, such as who may log in to Airflow."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from parc.errors import ConfigurationError


def rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV, each with the number of its line.

    Raises ConfigurationError naming the file if it cannot be read or has other columns.
    """
    try:
        with path.open(newline="") as file:
            found = csv.DictReader(file)
            if found.fieldnames != list(columns):
                raise ConfigurationError(f"{path}: its first line must be {','.join(columns)}")
            for row in found:
                yield found.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
