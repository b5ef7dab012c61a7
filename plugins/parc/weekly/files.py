"""The page as HTML and as PDF: the same texts, so the same numbers."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from parc.settings import Settings
from parc.weekly.content import PageContent, RegionFigure
from parc.weekly.french import plain
from parc.weekly.week import IsoWeek

UNDATED = datetime.fromtimestamp(0, UTC)
"""The instant in the PDF's metadata: the same page is the same file, whenever it is made."""


@dataclass(frozen=True)
class PageFiles:
    """Where a page is."""

    html: Path
    pdf: Path


def write(settings: Settings, week: IsoWeek, directorate_code: str, page: PageContent) -> PageFiles:
    """Keep the page as HTML and as PDF in `PARC_HOME/weekly/WEEK`, instead of what was there."""
    folder = settings.home / "weekly" / week.name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = PageFiles(folder / f"{directorate_code}.html", folder / f"{directorate_code}.pdf")
    _put(made.html, as_html(page).encode())
    _put(made.pdf, as_pdf(page))
    return made


def as_html(page: PageContent) -> str:
    """The page for a browser and a mail: its style is in it, and it fetches nothing."""
    return _template().render(page=page)


def as_pdf(page: PageContent) -> bytes:
    """The page on one sheet of A4, tagged for screen readers."""
    import typst  # 80 MB, for this alone

    source = (files("parc.weekly") / "templates" / "page.typ").read_bytes()
    made: bytes = typst.compile(
        source,
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs={"page": json.dumps(_as_json(page))},
        timestamp=UNDATED,
        pdf_standards=["ua-1"],
    )
    return made


def _as_json(page: PageContent) -> dict[str, Any]:
    return {
        "title": page.title,
        "week": plain(page.week),
        "state": plain(page.state),
        "tone": page.tone,
        "rollout_date": page.rollout_date.shown if page.rollout_date else None,
        "stages": [
            {"region": each.region, "states": [plain(state) for state in each.states]} for each in page.stages
        ],
        "headings": page.headings,
        "figures": [(region, _figures_as_json(figures)) for region, figures in page.figures],
        "has_shared": page.has_shared,
        "outstanding": [plain(line) for line in page.outstanding],
        "links": [
            {"label": each.label, "address": each.address, "is_page": each.is_page} for each in page.links
        ],
        "legend": page.legend,
        "source": plain(page.source),
    }


def _figures_as_json(figures: Sequence[RegionFigure]) -> list[dict[str, Any]]:
    return [
        {
            "value": plain(each.value),
            "before": plain(each.before),
            "limits": plain(each.limits),
            "scale": plain(each.scale),
            "verdict": each.verdict,
            "is_judged": each.is_judged,
            "is_good": each.is_good,
            "chart": each.chart,
        }
        for each in figures
    ]


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("parc.weekly"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html.j2")


def _put(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")  # another process may write the same page
    draft.write_bytes(content)
    draft.replace(path)
