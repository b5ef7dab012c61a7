"""Writes marts.md, the reference of everything that BI reads, from the descriptions in the dbt project."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from parc.build.grains import grains
from parc.settings import PROJECT

PAGE = PROJECT / "docs" / "reference" / "marts.md"
MARTS = PROJECT / "dbt_project" / "models" / "marts"
DOCS = dict(re.findall(r"{% docs (\w+) %}(.*?){% enddocs %}", (MARTS.parent / "columns.md").read_text()))
OPENING = """# The marts

Written by `make docs` from the dbt project, where each figure is defined once; the same texts are comments
in the database. Marts hold sums; the views `*_rates` divide them, at every level. Read their views of one
grain: the relations `*_rates` mix periods and areas, are not to be summed, and leave `marts` in 0.4.0.
[Questions](questions.md) has the queries that answer the usual ones. `mart_restatements`,
`mart_punctuality`, `mart_releases` and `published_build`, which no model makes, are described in the
database alone.
"""


SCOPES = {
    "open": "Every directorate reads it.",
    "closed": "No directorate reads it.",
    "directorate": "A directorate reads its own rows, without cells of few persons.",
    "site": "A directorate reads the rows of its sites and of partners, without cells of few persons.",
    "region": "A directorate reads the rows of its regions, without counts.",
    "area": "A directorate reads the nation's rows, and its own by month, without cells of few persons.",
}


def text() -> str:
    """The page, in Markdown."""
    rooms = sorted(each for each in MARTS.iterdir() if any(each.rglob("*.yml")))
    parts = [OPENING]
    for room in rooms:
        paths = sorted(room.rglob("*.yml"), key=lambda path: (path.parent.name == "rates", path))
        models = [model for path in paths for model in _read(path).get("models", [])]
        parts += [f"\n## {room.name.replace('_', ' ').capitalize()}\n", *map(_model, models)]
    parts += ["\n## Who reads what\n\n| exposure | reads |\n|---|---|\n"]
    for exposure in _read(MARTS / "exposures.yml")["exposures"]:
        reads = ", ".join(f"`{each.split(chr(39))[1]}`" for each in exposure["depends_on"])
        parts.append(
            f"| {exposure.get('label', exposure['name'])}: {_line(exposure['description'])} | {reads} |\n"
        )
    return "".join(parts)


def _model(model: dict[str, Any]) -> str:
    meta = model["config"]["meta"]
    keys = [f"`{column}`" for column in meta.get("key", [])]
    lines = [f"\n### {model['name']}\n", _line(model["description"])]
    if keys:
        lines.append(f"\nKey: {', '.join(keys)}.")
    lines.append(f"\n{SCOPES[meta['scope']]}")
    if "person_keys" in meta:
        person_keys = ", ".join(f"`{column}`" for column in meta["person_keys"])
        lines.append(
            f"\nPerson keys: {person_keys}, kept for {meta['retention_days']} days, then surrogates. "
            f"{_line(meta['retention_reason'])}"
        )
    lines += _grains(model["name"], meta)
    lines += ["", "| column | type | |", "|---|---|---|"]
    lines += [
        f"| `{column['name']}` | {column.get('data_type', '')} | {_line(column['description'])} |"
        for column in model["columns"]
    ]
    return "\n".join(lines) + "\n"


def _grains(relation: str, meta: dict[str, Any]) -> list[str]:
    """What is said of a relation's views of one grain."""
    views = list(grains(relation, meta))
    if not views:
        return []
    names = [f"`{view.name}`" for view in views]
    kept = f" Not in them: `{'`, `'.join(meta['grains']['leaves'])}`." if meta["grains"].get("leaves") else ""
    return [
        f"\nIts views of one grain (ADR 30), which directorates do not read: {', '.join(names)}. "
        "They have the columns below, but `business_date` for the dates of a day, and `region_code` and "
        "`region_name` (or "
        f"`directorate_code` and `directorate_name`) for `period`, `area` and `area_code`.{kept}"
    ]


def _line(words: str) -> str:
    description = re.sub(r"{{ doc\('(\w+)'\) }}", lambda named: DOCS[named[1]], words)
    return " ".join(description.split()).replace("|", "\\|")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(path.read_text(), yaml.CSafeLoader)
    return found


if __name__ == "__main__":
    PAGE.write_text(text())
