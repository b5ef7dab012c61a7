"""What became of each model, seed and test of a build, as dbt's results and manifest tell it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from parc.build.dbt import DbtRun, Entry, Result
from parc.numbers import masked

TESTS = ("test", "unit_test")
# dbt's words for what the ledger tells as one.
STATUSES = {"pass": "success", "reused": "success", "partial success": "error", "runtime error": "error"}
FAILED = ("fail", "error")
ROWS_SHOWN = 5
ROWS_TIMEOUT_SECONDS = 5
TESTS_SHOWN = 10


@dataclass(frozen=True)
class Node:
    """One node of a build, in the words of `ops.build_node`.

    `skipped_count` is how many others were skipped because it failed; `checks` says in a sentence what a
    test checks; `path` is where its SQL is.
    """

    name: str
    kind: str
    tested: list[str] | None
    status: str
    seconds: float
    row_count: int | None
    message: str | None
    position: int
    checks: str
    path: str
    skipped_count: int = 0
    failing_rows: list[dict[str, Any]] | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it failed itself; a skipped one did not."""
        return self.status in FAILED


def read(connection: psycopg.Connection[Any], run: DbtRun) -> list[Node]:
    """The nodes of a run in order of finishing; failed data tests with their first rows.

    Call it while the build is running in the ledger: what a test reads may depend on it.
    """
    results = [result for result in run.results if not result.unique_id.startswith("exposure.")]
    skipped = {result.unique_id for result in results if result.status == "skipped"}
    because = {
        result.unique_id: _reach(run, result.unique_id) & skipped
        for result in results
        if STATUSES.get(result.status, result.status) in FAILED
    }
    named = Counter[str]()
    nodes: list[Node] = []
    for position, result in enumerate(results, start=1):
        unique_id, entry = result.unique_id, run.entries[result.unique_id]
        kind = entry.kind
        status = STATUSES.get(result.status, result.status)
        message: str | None = None
        if status == "skipped":
            causes = [_name(run, cause) for cause, skips in because.items() if unique_id in skips]
            message = f"{', '.join(causes) or 'what it reads'} failed"
        elif status != "success":
            message = _words(result.message)
        rows = None
        if kind == "test" and status == "fail" and sum(node.status == "fail" for node in nodes) < TESTS_SHOWN:
            rows = _failing_rows(connection, result.compiled_code or "")
        name = _name(run, unique_id)
        named[name] += 1  # dbt lets tests share one
        nodes.append(
            Node(
                name if named[name] == 1 else f"{name} #{named[name]}",
                kind,
                [_name(run, each) for each in entry.reads] if kind in TESTS else None,
                status,
                result.seconds,
                _row_count(result, kind),
                message,
                position,
                _checks(entry),
                entry.path,
                len(because.get(unique_id, ())),
                rows,
            )
        )
    return nodes


def record(connection: psycopg.Connection[Any], build_id: int, nodes: Iterable[Node]) -> None:
    """Write them to the ledger."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.build_node (build_id, node, kind, tested, status, seconds, row_count, message, "
            "failing_rows, position) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    build_id, node.name, node.kind, node.tested, node.status, node.seconds, node.row_count,
                    node.message, Jsonb(node.failing_rows) if node.failing_rows else None, node.position,
                )
                for node in nodes
            ],
        )  # fmt: skip


def _name(run: DbtRun, unique_id: str) -> str:
    if unique_id.startswith("source."):
        return ".".join(unique_id.split(".")[-2:])
    entry = run.entries[unique_id]
    # A unit test's name is its model's own.
    return f"{entry.model}.{entry.name}" if entry.kind == "unit_test" else entry.name


def _reach(run: DbtRun, unique_id: str) -> set[str]:
    """What dbt skips when this node fails: all below it; of a test, all below everything it reads."""
    if run.entries[unique_id].kind in TESTS:
        read = run.entries[unique_id].reads
        return reduce(set.intersection, (_below(run, each) for each in read)) if read else set()
    return _below(run, unique_id)


def _below(run: DbtRun, unique_id: str) -> set[str]:
    found: set[str] = set()
    waiting = [unique_id]
    while waiting:
        for child in run.children.get(waiting.pop(), []):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def _row_count(result: Result, kind: str) -> int | None:
    if kind in TESTS:
        return result.failures
    return result.rows_affected if result.rows_affected >= 0 else None  # a view has none


def _words(message: str | None) -> str | None:
    """dbt's message without what is told elsewhere: which node it is about and where its SQL is."""
    lines = [line.strip() for line in (message or "").splitlines()]
    kept = [line for line in lines if line and not line.startswith("compiled code at ")]
    if len(kept) > 1 and " Error in " in kept[0]:
        kept = kept[1:]
    return masked("\n".join(kept)) or None  # the database names the keys that break a constraint


def _checks(entry: Entry) -> str:
    """What a test checks: its kind and columns, or the sentences at the head of its file."""
    if entry.kind not in TESTS:
        return ""
    if entry.generic:
        given = [value for name, value in entry.generic["arguments"].items() if name != "model"]
        values = [", ".join(each) if isinstance(each, list) else str(each) for each in given]
        return f"{entry.generic['name']} ({'; '.join(values)})"
    if entry.description:
        return " ".join(entry.description.split())
    said = []
    for line in entry.raw_code.strip().splitlines():
        if not line.startswith("--"):
            break
        said.append(line.removeprefix("--").strip())
    return " ".join(said)


def _failing_rows(connection: psycopg.Connection[Any], query: str) -> list[dict[str, Any]] | None:
    try:
        with connection.transaction():
            connection.execute("set transaction read only")
            connection.execute(f"set local statement_timeout = '{ROWS_TIMEOUT_SECONDS}s'")
            rows = connection.execute(
                f"select to_json(failing) from (\n{query}\n) as failing limit {ROWS_SHOWN}".encode()
            ).fetchall()
    except (psycopg.errors.QueryCanceled, psycopg.ProgrammingError, psycopg.DataError):
        return None  # too slow, or not a query that can stand in another: the SQL is named all the same
    return [
        {column: masked(value) if isinstance(value, str) else value for column, value in row.items()}
        for (row,) in rows
    ]
