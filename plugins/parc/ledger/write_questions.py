"""Questions about single numbers, each recorded with its answer: `ops.number_question`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import scalar_row

from parc.errors import ConfigurationError, ParcError


class AskedTooOften(ParcError):
    """Somebody has asked about as many numbers as they may in an hour; `free_at` is when they may again."""

    def __init__(self, most_questions: int, free_at: datetime) -> None:
        super().__init__(f"{most_questions} numbers were asked about in the last hour")
        self.most_questions, self.free_at = most_questions, free_at


@dataclass(frozen=True)
class DecidingRows:
    """The rows of the live table of this version that decide one call, by table; instants are text."""

    version: str
    rows: dict[str, list[dict[str, Any]]]


def ask(
    connection: Connection[Any],
    *,
    asked_by: str,
    number_key: UUID,
    fingerprint: str,
    prefix: str | None,
    dialled_number: str,
    at: datetime,
) -> DecidingRows | None:
    """The rows that decide a call at an instant; None if the live table is not recorded. `fingerprint` is
    that of the keys which made the pseudonym; `prefix` has the number's first digits in its national form.

    The database gives a reader nothing else of that table, and counts the questions of each person. Raises
    AskedTooOften, and ConfigurationError if the warehouse has pseudonyms of other keys.
    """
    with connection.cursor(row_factory=scalar_row) as cursor:
        found = cursor.execute(
            "select ops.explain_number(%s, %s, %s, %s, %s, %s)",
            [asked_by, number_key, fingerprint, prefix, dialled_number, at],
        ).fetchone()
    assert isinstance(found, dict)
    if found.get("is_other_key"):
        raise ConfigurationError(
            "PARC_PSEUDONYM_SECRET is not the key that this warehouse has been loaded with, so no number can "
            "be found by its key; give the API server the key of the loads"
        )
    if "free_at" in found:
        raise AskedTooOften(found["most_questions"], datetime.fromisoformat(found["free_at"]))
    return DecidingRows(found.pop("version"), found) if found else None
