"""SQL on the schema `ops` is in `parc.ledger` alone: besides the migrations, dbt and the expectations."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from parc.settings import PROJECT

LEDGER = PROJECT / "plugins" / "parc" / "ledger"
OF_MIGRATIONS = PROJECT / "plugins" / "parc" / "warehouse" / "schema.py"
"""It applies the migrations, and keeps the list of those applied before any other table is there."""

SQL = re.compile(
    r"\b(from|join|into|update|table|copy|truncate|lock)\s+(only\s+)?ops\.\w|\bops\.\w+\s*\(", re.IGNORECASE
)
FOR_PERSONS = re.compile(r"""parc sql ['"][^'"]*['"]""")
"""A command that a message tells somebody to run."""

NAMED_IN_DBT = re.compile(r"\bops\.(\w+)")
DBT_MAY_NAME = {
    "build",
    "build_date",
    "build_job",
    "changed_dates",
    "changed_jobs",
    "due_at",
    "due_date",
}
"""What macros may name besides their sources: the running build, and functions of the migrations."""


def texts(source: str) -> Iterator[str]:
    """String literals that are no docstrings; the constant parts of an f-string as one."""
    tree = ast.parse(source)
    no_text = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            no_text |= {id(part) for part in node.values}
            yield "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in no_text:
            yield node.value


def has_sql(path: Path) -> bool:
    return any(SQL.search(FOR_PERSONS.sub("", text)) for text in texts(path.read_text()))


def test_the_search_finds_sql_and_nothing_else() -> None:
    assert has_sql(LEDGER / "deliveries.py") and has_sql(LEDGER / "due.py")
    examples = {
        'q = "select 1 from ops.delivery"': True,
        'q = f"insert into ops.{table} values (1)"': True,
        'q = "select ops.due_date(cadence, day)"': True,
        '"""Read from ops.delivery."""': False,
        'text = "`parc sql \\"select * from ops.delivery\\"` lists them"': False,
        'table = "ops.delivery"': False,
    }
    for source, expected in examples.items():
        assert any(SQL.search(FOR_PERSONS.sub("", text)) for text in texts(source)) is expected, source


def test_sql_on_ops_is_only_in_the_ledger_package() -> None:
    found = {
        path
        for folder in (PROJECT / "plugins", PROJECT / "dags")
        for path in folder.rglob("*.py")
        if LEDGER not in path.parents and path != OF_MIGRATIONS and has_sql(path)
    }
    assert not found


def test_dbt_reads_the_ledger_through_its_sources() -> None:
    project = PROJECT / "dbt_project"
    named = {
        name
        for folder in ("models", "macros", "tests", "snapshots")
        for path in (project / folder).rglob("*.sql")
        for name in NAMED_IN_DBT.findall(re.sub(r"\{#.*?#\}|--[^\n]*", "", path.read_text(), flags=re.DOTALL))
    }
    assert named and named <= DBT_MAY_NAME
