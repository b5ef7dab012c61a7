"""The dbt project's own documentation, as one page that needs no server: models, columns, tests, lineage."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from parc.build import dbt
from parc.build.build import building
from parc.settings import Settings

SUFFIXES = (".sql", ".yml", ".csv", ".md")


def page(settings: Settings) -> Path:
    """Where the page is once it is made."""
    return settings.home / "dbt" / "docs" / "index.html"


def document(settings: Settings) -> Path | None:
    """Make the page where the project has changed since it was made; returns it, or None where it stands.

    Raises Busy when a build runs, BuildFailed when dbt cannot describe the project.
    """
    made = page(settings)
    digest, made_from = _digest(settings.project / "dbt_project"), made.with_suffix(".sha256")
    if made.exists() and made_from.exists() and made_from.read_text() == digest:
        return None
    with building(settings), dbt.started(settings, progress=lambda *_: None) as runner:
        run = runner.run("docs generate", "--static")
    made.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(run.target / "static_index.html", made)
    made_from.write_text(digest)
    return made


def _digest(project: Path) -> str:
    files = sorted(path for path in project.rglob("*") if path.suffix in SUFFIXES)
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(project)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()
