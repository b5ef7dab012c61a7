"""Seeds that change between two builds."""

from __future__ import annotations

from datetime import date

from parc.settings import Settings
from support.marts import rows


def recomputed(settings: Settings, subject: str) -> list[date]:
    found = rows(
        settings,
        "select business_date from ops.build_date where build_id = (select max(build_id) from ops.build) "
        f"and feed = '{subject}' order by 1",
    )
    return [row[0] for row in found]


def change_seed(settings: Settings, name: str, before: str, after: str) -> None:
    path = settings.project / "dbt_project" / "seeds" / f"{name}.csv"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
