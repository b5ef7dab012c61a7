"""The questions of docs/reference/questions.md."""

from __future__ import annotations

import re

from parc.settings import PROJECT

PAGE = PROJECT / "docs" / "reference" / "questions.md"


def questions() -> list[tuple[str, str]]:
    """Each query of the page, under the heading it answers; a heading without a query fails."""
    asked: list[tuple[str, str]] = []
    for section in PAGE.read_text().split("\n## ")[1:]:
        heading, text = section.split("\n", 1)
        queries = re.findall(r"```sql\n(.+?)```", text, re.DOTALL)
        assert queries, f"questions.md: no query answers: {heading}"
        asked += [(heading, query) for query in queries]
    return asked
