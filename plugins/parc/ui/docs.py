"""Pages of the Data Docs, and no other files."""

from __future__ import annotations

from pathlib import Path

from parc.settings import Settings


def find(settings: Settings, path: str) -> Path | None:
    """The page under `home/data_docs` at this path; None if there is none or it is elsewhere."""
    folder = (settings.home / "data_docs").resolve()
    if "\0" in path:
        return None
    found = (folder / path).resolve()
    is_page = found.is_relative_to(folder) and found.suffix == ".html" and not found.name.startswith(".")
    return found if is_page and found.is_file() else None
