"""The message of a failed build: short enough to read at night, with everything needed to fix it."""

from __future__ import annotations

from typing import Any

from parc.build.nodes import Node
from parc.ledger.build_inputs import Origin

ORIGINS_SHOWN = 5
ROW_LENGTH, CELL_LENGTH = 160, 40
WORDS = {"unit_test": "unit test"}


def message(nodes: list[Node], build_id: int, seen_build_id: int | None, log: str) -> str:
    """The message of a build with failed nodes; BI sees `seen_build_id` (None: no build yet)."""
    failed = [node for node in nodes if node.has_failed]
    skipped_count = sum(node.status == "skipped" for node in nodes)
    seen = f"still sees build {seen_build_id}" if seen_build_id else "sees no build yet"
    parts = [
        f"build {build_id}: {len(failed)} of {len(nodes)} nodes failed, "
        f"{skipped_count} were skipped because of that; BI {seen}.",
        *map(_described, failed),
        *_remedies([origin for node in failed for origin in node.origins]),
        "Fix the model or the data, then build again: clear this task in Airflow, or run `parc build`. "
        "The build resumes with what failed; if anything has arrived since, it starts over. "
        f"(log: {log})",
    ]
    return "\n\n".join(parts)


def _described(node: Node) -> str:
    error = (node.message or node.status).replace("\n", "\n    ")
    if node.kind == "model" and node.failing_rows:
        error += "\n    the first rows that break its contract:"
    if node.kind == "test" and node.status == "fail":
        rows = "1 row breaks it" if node.row_count == 1 else f"{node.row_count:,} rows break it"
        error = rows if not node.failing_rows else f"{rows}{', the first' if node.row_count != 1 else ''}:"
    lines = [f"{WORDS.get(node.kind, node.kind)} {node.name}: {error}"]
    lines += [f"    {_row(row)}" for row in node.failing_rows or []]
    if node.origins:
        lines.append(f"  {_of(node.origins)}")
    if node.tested is not None:
        lines.append(f"  it checks {', '.join(node.tested)}: {node.checks}")
    if node.skipped_count:
        lines.append(f"  skipped because of it: {node.skipped_count}")
    return "\n".join([*lines, f"  its SQL: {node.path}"])


def _of(origins: list[Origin]) -> str:
    """Where the rows are; or which deliveries they may come from, if that is all that is known."""
    places = []
    for origin in origins[:ORIGINS_SHOWN]:
        place = f"{origin.feed} {origin.business_date}, delivery {origin.delivery_id}"
        place += f": {origin.file}" if origin.file else ""
        places.append(f"{place} line {origin.line}" if origin.line else place)
    more = f"; and {len(origins) - ORIGINS_SHOWN} more" if len(origins) > ORIGINS_SHOWN else ""
    verb = "found in" if origins[0].line else "may come from"
    return f"{verb} {'; '.join(places)}{more}"


def _remedies(origins: list[Origin]) -> list[str]:
    """How to continue the night without the deliveries that broke the build."""
    ids = sorted({origin.delivery_id for origin in origins})
    if not ids:
        return []
    commands = " or ".join(f"`parc withdraw {each} --reason TEXT`" for each in ids[:ORIGINS_SHOWN])
    return [f"To continue without a faulty delivery: {commands}, then `parc build`."]


def _row(row: dict[str, Any]) -> str:
    text = " ".join(f"{column}={_short(str(value), CELL_LENGTH)}" for column, value in row.items())
    return _short(text, ROW_LENGTH)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
