"""One name means one class, or one type."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from parc.settings import PROJECT

TYPE = re.compile("[A-Z]+[a-z]")


def types(path: Path) -> Iterator[tuple[str, int]]:
    """The classes of a module, and the names that it gives to other types, each with its line."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, node.lineno
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and TYPE.match(target.id):
                    yield target.id, node.lineno


def test_no_two_types_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted((PROJECT / "plugins" / "parc").rglob("*.py")):
        for name, line in types(path):
            places.setdefault(name, []).append(f"{path.relative_to(PROJECT)}:{line}")
    assert {"Delivery", "DeliveryStatus"} <= places.keys()
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
