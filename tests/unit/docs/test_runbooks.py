"""Runbooks: every finding and every DAG has one."""

from __future__ import annotations

import re
import runpy

from parc.findings import FindingKind
from parc.settings import PROJECT


def test_every_finding_and_dag_has_a_runbook() -> None:
    folder = PROJECT / "docs" / "runbooks"
    expected = {PROJECT / kind.runbook for kind in FindingKind} | {folder / "README.md"}
    assert set(folder.glob("*.md")) == expected
    for page in expected - {folder / "README.md"}:
        text = page.read_text()
        parts = ["What it means", "What is safe", "What to do", "How to see that it worked"]
        assert re.findall(r"^## (.+)", text, re.MULTILINE) == parts, page
    index = (folder / "README.md").read_text()
    assert [kind for kind in FindingKind if f"({kind.slug}.md)" not in index] == []
    dags = runpy.run_path(str(PROJECT / "docs" / "scripts" / "write_architecture.py"))["dag_names"]()
    assert [dag for dag in dags if f"`{dag}`" not in index] == []
