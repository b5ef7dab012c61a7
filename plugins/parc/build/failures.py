"""The message of a failed build, short enough to read at night, and the steps that fix it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from parc.build.nodes import Node
from parc.findings import BUILD, Step
from parc.ledger.build_inputs import Origin
from parc.ledger.builds import BuildNode, BuildStatus, FailedBy
from parc.wording import counted

FULL_REFRESH = Step("rebuild the tables with their new columns", "parc build --full-refresh")
SIGNS: dict[FailedBy, tuple[str, ...]] = {
    "disk full": ("No space left on device", "Disk quota exceeded"),
    "connection lost": (
        "server closed the connection",
        "terminating connection",
        "connection already closed",
        "connection to server",
    ),
}
"""What the database's errors say in each case."""
REMEDIES: dict[FailedBy, tuple[Step, ...]] = {
    "disk full": (
        Step("see what can go", "parc maintain --dry-run"),
        Step("make room on the warehouse's disk"),
        BUILD,
    ),
    "connection lost": (Step("see whether PostgreSQL runs", "parc doctor"), BUILD),
}
ORIGINS_SHOWN = 5
WITHDRAWALS_SHOWN = 3
ROW_LENGTH, CELL_LENGTH = 160, 40
WORDS = {"unit_test": "unit test"}


def message(nodes: list[Node], build_id: int, seen_build_id: int | None, log: str) -> str:
    """The message of a build with failed nodes; BI sees `seen_build_id` (None: no build yet)."""
    failed = [node for node in nodes if node.has_failed]
    skipped_count = sum(node.status == "skipped" for node in nodes)
    seen = f"still sees build {seen_build_id}" if seen_build_id else "sees no build yet"
    parts = [
        f"build {build_id}: {len(failed)} of {counted(len(nodes), 'node')} failed, "
        f"{counted(skipped_count, 'was', 'were')} skipped because of that; BI {seen}.",
        *map(_described, failed),
        "The next build (in Airflow: clear this task) resumes at what failed; if anything has arrived "
        f"since, it starts over. (log: {log})",
    ]
    return "\n\n".join(parts)


def failed_by(nodes: Iterable[Node]) -> FailedBy | None:
    """What of the machine made nodes fail; None if data or models did. dbt passes on only the text of the
    database's errors."""
    messages = [node.message or "" for node in nodes if node.status == "error"]
    for cause, signs in SIGNS.items():
        if any(sign in message for message in messages for sign in signs):
            return cause
    return None


def remedy(
    status: BuildStatus, nodes: Iterable[BuildNode], failed_by: FailedBy | None = None
) -> tuple[Step, ...]:
    """What to do about a build that was not published, from its status, its nodes, and what made it fail."""
    if status != "failed":  # its process ended
        return (BUILD,)
    if failed_by:
        return REMEDIES[failed_by]
    failed = [node for node in nodes if node.has_failed]
    others = [node for node in failed if not node.is_out_of_step]
    build = FULL_REFRESH if len(others) < len(failed) else BUILD
    if failed and not others:
        return (build,)
    ids = sorted({origin["delivery_id"] for node in others for origin in node.origins})
    steps = [
        Step(
            f"withdraw delivery {each} if it is wrong",
            f"parc withdraw {each} --reason TEXT",
            is_alternative=at > 0,
        )
        for at, each in enumerate(ids[:WITHDRAWALS_SHOWN])
    ]
    correct = "correct the model" if steps else "correct the data or the model"
    return (*steps, Step(correct, is_alternative=bool(steps)), build)


def _described(node: Node) -> str:
    error = (node.message or node.status).replace("\n", "\n    ")
    if node.kind == "model" and node.failing_rows:
        error += "\n    the first rows that break its contract:"
    if node.kind == "test" and node.status == "fail":
        rows = counted(node.row_count or 0, "row breaks it", "rows break it")
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


def _row(row: dict[str, Any]) -> str:
    text = " ".join(f"{column}={_short(str(value), CELL_LENGTH)}" for column, value in row.items())
    return _short(text, ROW_LENGTH)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
