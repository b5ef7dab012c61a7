"""Draws architecture.svg: how data flows at night, and which room of plugins/parc may import which.

Feeds, DAGs and rooms are read from `parc.feeds`, `dags/` and import-linter's contract in `pyproject.toml`, so
the picture cannot name one that is gone, and a new DAG must be given its place here.
"""

from __future__ import annotations

import ast
import tomllib
from html import escape

from parc.feeds import FEEDS
from parc.settings import PROJECT

PAGE = PROJECT / "docs" / "reference" / "architecture.svg"
WIDTH = 1000
INK, LINE, STORE, DAG, ROOM = "#222", "#667", "#eef3f8", "#fdf1d8", "#f1f5ec"
STORES = {  # name: (left, top, width, height, lines of text)
    "landing zone": (20, 70, 150, 165, tuple(FEEDS)),
    "raw": (330, 70, 110, 75, ("one partition", "a business date")),
    "quarantine": (330, 180, 110, 55, ("rejected rows",)),
    "build": (560, 70, 100, 75, ("dbt models", "and tests")),
    "marts": (770, 70, 100, 75, ("what BI reads",)),
    "plan": (770, 195, 100, 60, ("checked against", "the switch")),
    "switch": (560, 195, 100, 60, ("six tables",)),
    "a person": (770, 285, 100, 40, ("approves",)),
    "BI tools": (910, 70, 80, 75, ()),
}
ARROWS = {  # the DAG on it, or a word: (from x, y, to x, y, text x, y)
    "ingest_<feed>": (170, 95, 330, 95, 250, 88),
    "ingest_late": (170, 130, 330, 130, 250, 123),
    "bad rows": (385, 145, 385, 180, 415, 167),
    "build_marts": (440, 107, 560, 107, 500, 100),
    "all tests pass": (660, 107, 770, 107, 715, 100),
    "": (870, 107, 910, 107, 0, 0),
    "export_routing": (820, 145, 820, 195, 820, 175),
    "small change": (770, 210, 660, 210, 715, 204),
    "read back": (660, 235, 770, 235, 715, 249),
    "large": (820, 255, 820, 285, 840, 274),
    "approved": (770, 305, 630, 255, 680, 295),
}
# DAGs beside the flow
ALONE = {"maintain_warehouse": (385, 40), "back_up": (610, 40), "send_weekly_pages": (820, 40)}


def text() -> str:
    """The picture, as SVG. Raises ValueError for a DAG that has no place in it."""
    if unplaced := dag_names() - ARROWS.keys() - ALONE.keys():
        raise ValueError(f"give {', '.join(sorted(unplaced))} a place in {__file__}: ARROWS or ALONE")
    inner = rooms()
    layers = inner.pop("parc")
    top = 370
    height = top + 26 * len(layers) + 20 * len(inner) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">',
        "<title>PARC: the flow of a night, and the rooms of plugins/parc</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>',
        _word(20, 25, "The flow of a night (yellow: DAGs)", weight="bold"),
    ]
    for name, (x1, y1, x2, y2, x, y) in ARROWS.items():
        parts.append(
            f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{LINE}" stroke-width="1.5" '
            'marker-end="url(#tip)"/>'
        )
        parts.append(_dag(x, y, name) if name in dag_names() else _word(x, y, name, anchor="middle"))
    parts += [_dag(x, y, name) for name, (x, y) in ALONE.items()]
    for name, (left, box_top, width, box_height, lines) in STORES.items():
        parts.append(_box(left, box_top, width, box_height, STORE))
        parts.append(_word(left + width / 2, box_top + 18, name, anchor="middle", weight="bold"))
        parts += [
            _word(left + width / 2, box_top + 38 + 17 * at, line, anchor="middle")
            for at, line in enumerate(lines)
        ]
    parts.append(
        _word(20, top - 14, "The rooms of plugins/parc: a room imports only rooms below it", weight="bold")
    )
    for row, names in enumerate(layers):
        width = (WIDTH - 40) / len(names)
        for at, name in enumerate(names):
            parts.append(_box(20 + at * width, top + 26 * row, width - 4, 22, ROOM))
            parts.append(_word(20 + at * width + width / 2, top + 26 * row + 15, name, anchor="middle"))
    for row, (room, below) in enumerate(inner.items()):
        order = ", then ".join(" | ".join(names) for names in below)
        parts.append(_word(20, top + 26 * len(layers) + 14 + 20 * row, f"In {room}, from the top: {order}."))
    return "\n".join([*parts, "</svg>", ""])


def dag_names() -> set[str]:
    """The ids of the DAGs in dags/, the seven `ingest_<feed>` as that one name."""
    found = set()
    for path in sorted((PROJECT / "dags").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                found |= {
                    str(each.value.value)
                    for each in node.keywords
                    if each.arg == "dag_id" and isinstance(each.value, ast.Constant)
                }
                found |= {"ingest_<feed>"} if getattr(node.func, "id", "") == "ingest_dag" else set()
    return found


def rooms() -> dict[str, list[list[str]]]:
    """The layers of import-linter's contracts, top first: of `parc`, and of its rooms that have some."""
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {
        room: [[name.strip().removeprefix("parc.") for name in layer.split("|")] for layer in each["layers"]]
        for each in contracts
        if each["type"] == "layers"
        for room in each.get("containers", ["parc"])
    }


def _box(left: float, top: float, width: float, height: float, fill: str) -> str:
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="4" fill="{fill}" '
        f'stroke="{LINE}"/>'
    )


def _word(x: float, y: float, word: str, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-weight="{weight}">{escape(word)}</text>'


def _dag(x: float, y: float, name: str) -> str:
    width = 7 * len(name) + 12
    return (
        f'<rect x="{x - width / 2:g}" y="{y - 14:g}" width="{width}" height="19" rx="9" fill="{DAG}"/>'
        + _word(x, y, name, anchor="middle")
    )


if __name__ == "__main__":
    PAGE.write_text(text())
