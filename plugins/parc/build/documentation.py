"""dbt's documentation of the project as one page that needs no server: models, columns, tests, lineage.

Beside it are the files that other tools read of it (`ARTIFACTS`). Both name the marts as BI does.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from parc.build import dbt
from parc.build.build import building
from parc.settings import Settings

SUFFIXES = (".sql", ".yml", ".csv", ".md")
ARTIFACTS = ("manifest.json", "catalog.json", "semantic_manifest.json")


def page(settings: Settings) -> Path:
    """The path of the page."""
    return settings.home / "dbt" / "docs" / "index.html"


def document(settings: Settings) -> Path | None:
    """Write the page and the artifacts if the project has changed since; returns the page's path, or None if
    it is up to date.

    Raises Busy if a build is running, BuildFailed if dbt cannot document the project.
    """
    made = page(settings)
    digest, made_from = _digest(settings.project / "dbt_project"), made.with_suffix(".sha256")
    if made.exists() and made_from.exists() and made_from.read_text() == digest:
        return None
    with building(settings), dbt.started(settings, progress=lambda *_: None) as runner:
        runner.run("parse")  # what it reads is then named as BI names it
        target = runner.run("docs generate", "--static").target
    made.parent.mkdir(parents=True, exist_ok=True)
    for name in ARTIFACTS:
        _write(made.with_name(name), (target / name).read_text())
    _write(made, _quiet((target / "static_index.html").read_text()))
    made_from.write_text(digest)
    return made


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


def _quiet(text: str) -> str:
    """dbt's page without what a browser reports as an error: each icon is requested by its template's own
    text before a script fills it in, and the page's icon has an address that nothing ever filled in."""
    text = re.sub(r'<link rel="shortcut icon" href="\$\{[^>]*>', "", text)
    return text.replace('xlink:href="{{', 'ng-attr-href="{{')


def _digest(project: Path) -> str:
    files = sorted(path for path in project.rglob("*") if path.suffix in SUFFIXES)
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(project)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()
