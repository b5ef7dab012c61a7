"""Finding pages of the Data Docs, and none beside them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from parc.settings import Settings

CLOCKS_APART = timedelta(seconds=5)


def find(settings: Settings, path: str) -> Path | None:
    """The page under `home/data_docs` at this path; None where there is none or it lies elsewhere."""
    folder = (settings.home / "data_docs").resolve()
    if "\0" in path:
        return None
    found = (folder / path).resolve()
    is_page = found.is_relative_to(folder) and found.suffix == ".html" and not found.name.startswith(".")
    return found if is_page and found.is_file() else None


def of_delivery(settings: Settings, delivery: dict[str, Any]) -> str | None:
    """Path of the page on which a delivery was judged: the last one written while it was being read.

    None where its feed has no suite, or it was refused before it was judged (what is published of its day may
    have been judged again since, and was not refused).
    """
    subject = re.sub(r"[^\w.-]+", "_", f"{delivery['feed']} {delivery['business_date']}")
    folder = settings.home / "data_docs"
    first, last = delivery["landed_at"], delivery["ended_at"]
    for page in sorted((folder / "landing" / delivery["feed"] / subject).glob("*Z.html"), reverse=True):
        checked_at = datetime.strptime(page.stem, "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
        if checked_at < first - CLOCKS_APART or (last and checked_at > last + CLOCKS_APART):
            continue
        if delivery["status"] != "refused" or _is_refusal(page):
            return str(page.relative_to(folder).as_posix())
    return None


def _is_refusal(page: Path) -> bool:
    summary = page.with_suffix(".json")
    return summary.exists() and json.loads(summary.read_text())["status"] == "refused"
