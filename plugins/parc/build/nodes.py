"""The result of each model, seed and test of a build, from dbt's results and manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import psycopg

from parc.build import broken, origins
from parc.build.broken import FailingRows
from parc.build.dbt import DbtRun, ManifestEntry, Result
from parc.ledger.build_inputs import Origin
from parc.ledger.builds import FAILED_STATUSES, BuildNode
from parc.printable import uncoloured
from parc.wording import counted

TESTS = ("test", "unit_test")
# dbt's statuses that the ledger records under another one.
STATUSES = {"pass": "success", "reused": "success", "partial success": "error", "runtime error": "error"}
MOST_TRACED = 10
"""Most failed nodes whose rows are fetched; the others only show their SQL file."""
ASSERTION = "asserts_of_each"
"""Key in the meta of a test that makes one assertion about many models: which part of their meta it uses.
Its rows are `asserted_of`, the model's name, and `failing_row`.
"""


@dataclass(frozen=True)
class Node:
    """One node of a build.

    `skipped_count` is how many others were skipped because it failed; `checks` describes in a sentence what a
    test checks; `path` is its SQL file. `failing_rows` are the first rows that broke it, `origins` the
    deliveries that they may come from. `is_out_of_step`: it failed because its table has other columns.
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
    origins: list[Origin] = field(default_factory=list)
    is_out_of_step: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether the node itself failed; a skipped node did not."""
        return self.status in FAILED_STATUSES

    @property
    def as_entered(self) -> BuildNode:
        """As the ledger keeps it."""
        return BuildNode(
            self.name,
            self.kind,
            self.tested,
            self.status,
            self.seconds,
            self.row_count,
            self.message,
            self.failing_rows,
            [origin.as_json() for origin in self.origins],
            self.position,
            self.is_out_of_step,
        )


def read(connection: psycopg.Connection[Any], run: DbtRun) -> list[Node]:
    """The nodes of a run in order of finishing; for failed ones, what broke them and where it comes from.

    Call this while the ledger shows the build as running, because a node's query may depend on it.
    """
    skipped = {result.unique_id for result in run.results if result.status == "skipped"}
    because = {
        result.unique_id: _reach(run, result.unique_id) & skipped
        for result in run.results
        if STATUSES.get(result.status, result.status) in FAILED_STATUSES
    }
    nodes: list[Node] = []
    for result in run.results:
        unique_id, entry = result.unique_id, run.entries[result.unique_id]
        status = STATUSES.get(result.status, result.status)
        message: str | None = None
        if status == "skipped":
            causes = [_name(run, cause) for cause, skips in because.items() if unique_id in skips]
            message = f"{', '.join(causes) or 'what it reads'} failed"
        elif status != "success":
            message = _words(result.message)
        node = Node(
            _name(run, unique_id),
            entry.kind,
            [_name(run, each) for each in entry.reads] if entry.kind in TESTS else None,
            status,
            result.seconds,
            _row_count(result, entry),
            message,
            0,
            _checks(entry),
            entry.path,
            len(because.get(unique_id, ())),
        )
        if ASSERTION in entry.meta and status != "error":
            nodes += _assertions(connection, run, result, node)
            continue
        if status in FAILED_STATUSES and sum(each.has_failed for each in nodes) < MOST_TRACED:
            found = _broken(connection, entry, result)
            if found.rows and entry.kind == "model":
                message = (message or "").partition("\nDETAIL:  Failing row contains")[0]
            origins = _origins(connection, run, unique_id, found)
            node = replace(
                node,
                message=message,
                failing_rows=found.shown,
                origins=origins,
                is_out_of_step=_is_out_of_step(connection, entry, result),
            )
        nodes.append(node)
    return list(_numbered(nodes))


def _numbered(nodes: Iterable[Node]) -> Iterator[Node]:
    named = Counter[str]()
    for position, node in enumerate(nodes, start=1):
        named[node.name] += 1  # dbt allows tests with the same name
        count = named[node.name]
        yield replace(node, name=node.name if count == 1 else f"{node.name} #{count}", position=position)


def _assertions(connection: psycopg.Connection[Any], run: DbtRun, result: Result, test: Node) -> list[Node]:
    """Split a test of many models (see ASSERTION) into one per model, if its query can separate them."""
    entry = run.entries[result.unique_id]
    found: dict[str, tuple[int, FailingRows]] = {}
    if test.status == "fail":
        of_models = broken.of_each(connection, result.compiled_code or "")
        if of_models is None:
            return [test]
        found = of_models
    part = entry.meta[ASSERTION]
    of_each = []
    for unique_id in entry.reads:
        model = run.entries[unique_id]
        node = replace(
            test,
            name=f"{test.name}.{model.name}",
            tested=[model.name],
            seconds=test.seconds / len(entry.reads),
            checks=f"{part} ({', '.join(model.meta[part])})",
        )
        if model.name in found:
            count, rows = found[model.name]
            origins = _origins(connection, run, unique_id, rows)
            message = counted(count, "row breaks it", "rows break it")
            node = replace(node, row_count=count, message=message, failing_rows=rows.shown, origins=origins)
        elif test.status == "fail":
            node = replace(node, status="success", row_count=0, message=None, skipped_count=0)
        of_each.append(node)
    return of_each


def _name(run: DbtRun, unique_id: str) -> str:
    if unique_id.startswith("source."):
        return ".".join(unique_id.split(".")[-2:])
    entry = run.entries[unique_id]
    # Unit test names are only unique within their model.
    return f"{entry.model}.{entry.name}" if entry.kind == "unit_test" else entry.name


def _reach(run: DbtRun, unique_id: str) -> set[str]:
    """What dbt skips when this node fails: everything below it; for a test, everything below what it
    reads."""
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


def _feeds(run: DbtRun, unique_id: str) -> set[str]:
    """The feeds that a node reads, directly or indirectly."""
    found: set[str] = set()
    waiting = [unique_id]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += run.entries[name].reads if name in run.entries else []
    return {name.rsplit(".", 1)[-1] for name in found if name.startswith("source.") and ".raw." in name}


def _origins(
    connection: psycopg.Connection[Any], run: DbtRun, unique_id: str, found: FailingRows
) -> list[Origin]:
    return origins.find(connection, _feeds(run, unique_id), found.rows or []) if found.is_by_data else []


def _broken(connection: psycopg.Connection[Any], entry: ManifestEntry, result: Result) -> FailingRows:
    query = result.compiled_code
    is_refused_by_dbt = (result.message or "").lstrip().startswith("Compilation Error")  # dbt's word
    if not query or is_refused_by_dbt or entry.kind not in ("model", "test"):
        return FailingRows(None, is_by_data=False)
    if entry.kind == "model":
        return broken.of_model(connection, query, entry.demands)
    found = broken.of_test(connection, query)
    return FailingRows(found.rows) if result.status == "fail" else found


def _is_out_of_step(connection: psycopg.Connection[Any], entry: ManifestEntry, result: Result) -> bool:
    """Whether an incremental model, true to its contract, has other columns than the table it adds to."""
    if not entry.kept_table or not result.compiled_code:
        return False
    made = broken.columns(connection, result.compiled_code)
    kept = broken.columns(connection, f"select * from {entry.kept_table}")
    if made is None or kept is None or made == kept:
        return False
    return not entry.contract or made.keys() == set(entry.contract)


def _row_count(result: Result, entry: ManifestEntry) -> int | None:
    """The rows that a test found, or that a model wrote. None of a view, and of a table that only got no new
    rows: it may have lost thousands, and dbt does not know."""
    if entry.kind in TESTS:
        return result.failures
    return result.rows_affected if result.rows_affected > (0 if entry.kept_table else -1) else None


def _words(message: str | None) -> str | None:
    """dbt's message without the node's name and SQL file, which are shown elsewhere."""
    lines = [line.strip() for line in uncoloured(message or "").splitlines()]
    kept = [line for line in lines if line and not line.startswith("compiled code at ")]
    if len(kept) > 1 and " Error in " in kept[0]:
        kept = kept[1:]
    return (
        broken.without_persons("\n".join(kept)) or None
    )  # the database's message names the keys that break a constraint


def _checks(entry: ManifestEntry) -> str:
    """What a test checks: its kind and columns, or the comment at the top of its file."""
    if entry.kind not in TESTS:
        return ""
    if entry.generic:
        given = [value for name, value in entry.generic["arguments"].items() if name != "model"]
        values = [", ".join(each) if isinstance(each, list) else str(each) for each in given]
        return f"{entry.generic['name']} ({'; '.join(values)})"
    if entry.description:
        return " ".join(entry.description.split())
    sentences = []
    for line in entry.raw_code.strip().splitlines():
        if not line.startswith("--"):
            break
        sentences.append(line.removeprefix("--").strip())
    return " ".join(sentences)
