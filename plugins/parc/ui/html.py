"""Renders the pages: templates, their filters, and the style and script that all of them contain."""

from __future__ import annotations

import base64
import hashlib
from datetime import date, datetime, timedelta
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from markdown_it import MarkdownIt
from markupsafe import Markup

from parc.findings import Subject, run_path
from parc.host import shell
from parc.instants import PARIS
from parc.printable import printable
from parc.settings import Settings
from parc.ui.language import ENGLISH, LANGUAGES
from parc.wording import counted

ASSETS = Path(__file__).with_name("assets")
STYLE = (ASSETS / "page.css").read_text()
SCRIPT = (ASSETS / "page.js").read_text()
CHARTS = (ASSETS / "charts.js").read_text()


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# A page fetches nothing, runs only the script above, sends forms only here, and only Airflow may frame it.
_NOTHING = "default-src 'none'; base-uri 'none'; frame-ancestors 'self'"
PAGE_POLICY = (
    f"{_NOTHING}; form-action 'self'; frame-src 'self'; "
    f"style-src {_digest(STYLE)}; script-src {_digest(SCRIPT)}"
)


def chart_policy(nonce: str) -> str:
    """The same for a page with charts: it also runs our script that draws them, and the library, which bears
    this number."""
    return f"{PAGE_POLICY} {_digest(CHARTS)} 'nonce-{nonce}'"


PAGE_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What a browser may do with a page."""
DOCS_POLICY = f"{_NOTHING}; form-action 'none'; style-src 'unsafe-inline'"
"""The Data Docs have their style in the page, so that they also open without a server."""
PROJECT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
)
"""dbt's page is a program: it runs in a sandbox, without Airflow's cookies, and connects to nothing."""


def page(
    request: Request, template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> HTMLResponse:
    """A page; links in it start at `base` (these pages) or `airflow` (the UI's root). `t`, its texts, are
    English unless given."""
    base = request.scope.get("root_path", "")
    given = {"base": base, "airflow": base.removesuffix("/parc"), "status": status, "t": ENGLISH, **values}
    text = _template(template).render(given)
    return HTMLResponse(text, status)


def navigation(request: Request) -> str:
    """The links that are above every page, for one that is not made from our layout."""
    links = _template("nav").render(base=request.scope.get("root_path", ""), t=ENGLISH)
    return f'<nav aria-label="PARC">{links}</nav>'


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("parc.ui"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=seen,
    )
    ours = {"style": STYLE, "script": SCRIPT, "charts_script": CHARTS}
    environment.globals |= {name: Markup(text) for name, text in ours.items()}  # noqa: S704
    environment.globals |= {"languages": LANGUAGES}
    environment.globals |= {"run_path": run_path, "shell": _shell}
    environment.filters |= {
        "counted": counted,
        "morning_after": morning_after,
        "paris": paris,
        "duration": duration,
        "subject_path": subject_path,
        "query": urlencode,
    }
    return environment.get_template(f"{name}.html.j2")


def seen(value: Any) -> Any:
    """Text from outside, without characters that change the direction of writing."""
    return printable(value) if type(value) is str else value


def paris(instant: datetime | None, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """An instant in the time of Paris."""
    return instant.astimezone(PARIS).strftime(pattern) if instant else "–"


def morning_after(instant: datetime, business_date: date) -> str:
    """An instant in the time of Paris; without its date if that is the day after the business date."""
    local = instant.astimezone(PARIS)
    is_usual = local.date() == business_date + timedelta(days=1)
    return f"{local:%H:%M}" if is_usual else f"{local:%Y-%m-%d %H:%M}"


def duration(seconds: float | None) -> str:
    """Seconds as people read them: 0.04 s, 12.3 s, 3 min 5 s, 2 h 7 min."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def subject_path(subject: Subject) -> str:
    """The page that shows what a finding concerns, from the root of these pages; empty where none does."""
    if subject.build_id:
        return f"/builds/{subject.build_id}"
    if subject.feed and subject.first_date:
        return f"/deliveries?{urlencode({'feed': subject.feed, 'date': subject.first_date})}"
    return ""


def markdown(text: str) -> Markup:
    """A page of our documentation as HTML; HTML in it stays text."""
    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))  # noqa: S704


def _shell() -> str:
    """What a shell needs first, so that the commands of the pages work on this platform."""
    return shell.definition(Settings.from_env())
