"""What a failed build says: short enough to read at night, with all that is needed to mend it."""

from __future__ import annotations

from typing import Any

from parc.build.nodes import Node
from parc.ledger.build_inputs import Origin

ORIGINS_SHOWN = 5
ROW_LENGTH, CELL_LENGTH = 160, 40
WORDS = {"unit_test": "unit test"}


def message(nodes: list[Node], build_id: int, seen_build_id: int | None, log: str) -> str:
    """The message of a build of which nodes failed; BI sees `seen_build_id` (None: nothing yet)."""
    failed = [node for node in nodes if node.has_failed]
    skipped_count = sum(node.status == "skipped" for node in nodes)
    seen = f"still sees build {seen_build_id}" if seen_build_id else "sees no build yet"
    parts = [
        f"build {build_id}: {len(failed)} of {len(nodes)} nodes failed, "
        f"{skipped_count} were skipped because of that; BI {seen}.",
        *map(_told, failed),
        *_way_on([origin for node in failed for origin in node.origins]),
        "Mend the model or the data, then build again: clear this task in Airflow, or `parc build`. "
        "It goes on from what failed; if anything has arrived since, it does everything again. "
        f"(log: {log})",
    ]
    return "\n\n".join(parts)


def _told(node: Node) -> str:
    error = (node.message or node.status).replace("\n", "\n    ")
    if node.kind == "model" and node.failing_rows:
        error += "\n    the first rows that it does not take:"
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
    """Where the rows stand; or what they may be made of, where that is all that is known."""
    told = []
    for origin in origins[:ORIGINS_SHOWN]:
        place = f"{origin.feed} {origin.business_date}, delivery {origin.delivery_id}"
        place += f": {origin.file}" if origin.file else ""
        told.append(f"{place} line {origin.line}" if origin.line else place)
    more = f"; and {len(origins) - ORIGINS_SHOWN} more" if len(origins) > ORIGINS_SHOWN else ""
    verb = "it stands in" if origins[0].line else "it is made of"
    return f"{verb} {'; '.join(told)}{more}"


def _way_on(origins: list[Origin]) -> list[str]:
    """How the night goes on without what broke it."""
    ids = sorted({origin.delivery_id for origin in origins})
    if not ids:
        return []
    commands = " or ".join(f"`parc withdraw {each} --reason TEXT`" for each in ids[:ORIGINS_SHOWN])
    return [f"To go on without a delivery that is wrong: {commands}, then `parc build`."]


def _row(row: dict[str, Any]) -> str:
    told = " ".join(f"{column}={_short(str(value), CELL_LENGTH)}" for column, value in row.items())
    return _short(told, ROW_LENGTH)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
