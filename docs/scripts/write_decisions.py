"""Writes docs/adr/README.md, the index of the decisions, from their titles and status lines."""

from __future__ import annotations

import re

from parc.settings import PROJECT

DECISIONS = PROJECT / "docs" / "adr"
SERIES = {0: "The platform", 1: "Deliveries", 2: "The switch", 3: "The rollout", 4: "The documentation"}
OPENING = """# Decisions

Each page is one decision: what we decided, why, and what it costs. To add one, take the next number of its
series, give it a title and a status line like the others (`Accepted, 2026-11-30.`; later
`Superseded by 12, 2027-01-15.`), and run `make docs`.
"""
HEAD = re.compile(r"# (\d+)\. (.+)\n\n((?:Accepted|Superseded by \d+), \d{4}-\d\d-\d\d)\.\n")


def text() -> str:
    """The page, in Markdown. Raises ValueError for a decision without number, title, status or date."""
    lines, series = [OPENING], None
    for page in sorted(DECISIONS.glob("[0-9]*.md")):
        head = HEAD.match(page.read_text())
        if not head or int(head[1]) != int(page.name[:4]):
            raise ValueError(
                f"{page}: begin with `# {int(page.name[:4])}. Title`, then `Accepted, YYYY-MM-DD.`"
            )
        if (of := int(head[1]) // 100) != series:
            series = of
            lines.append(f"\n## {SERIES[series]}\n\n| | decision | status |\n|---|---|---|\n")
        lines.append(f"| {head[1]} | [{head[2]}]({page.name}) | {head[3]} |\n")
    return "".join(lines)


if __name__ == "__main__":
    (DECISIONS / "README.md").write_text(text())
