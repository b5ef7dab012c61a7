"""Pages with charts, as a real browser draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from parc.settings import Settings
from support.running import BROWSER

if TYPE_CHECKING:
    from parc.ui.visitors import Visitor

COUNT = """() => Object.fromEntries([...document.querySelectorAll('section.figure')].map((figure) => {
  const marks = {};
  for (const mark of figure.querySelectorAll('.chart [aria-roledescription]')) {
    const kind = mark.getAttribute('aria-roledescription');
    marks[kind] = (marks[kind] ?? 0) + 1;
  }
  return [figure.id, { marks, rows: figure.querySelectorAll('tbody tr').length }];
}))"""
ARE_DRAWN = "[...document.querySelectorAll('.chart')].every((chart) => chart.dataset.drawn)"


@dataclass
class Looked:
    """What a browser shows of a page: of each figure its marks by kind and the rows of its table; what it
    complained about; what axe finds wrong."""

    figures: dict[str, dict[str, Any]]
    complaints: list[str]
    violations: list[tuple[str, str]]
    width: int

    def marks(self, name: str, kind: str) -> int:
        """How many marks of a kind a figure has."""
        return self.figures[name]["marks"].get(kind, 0)


def look(page: Any, go: str | Callable[[], object]) -> Looked:
    """Open an address in `page`, a tab of playwright's, or do what leads to a page; wait until all charts are
    drawn."""
    from axe_playwright_python.sync_playwright import Axe

    complaints: list[str] = []
    told = [
        ("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None),
        ("pageerror", lambda error: complaints.append(str(error))),
    ]
    for event, listener in told:
        page.on(event, listener)
    page.goto(go) if isinstance(go, str) else go()
    page.wait_for_function(ARE_DRAWN, timeout=60_000)
    found = Axe().run(page).response["violations"]
    for event, listener in told:
        page.remove_listener(event, listener)
    return Looked(
        figures=page.evaluate(COUNT),
        complaints=complaints,
        violations=[(each["id"], each["nodes"][0]["html"][:200]) for each in found],
        width=page.evaluate("document.documentElement.scrollWidth"),
    )


def pages_of(settings: Settings, who: Visitor | None = None) -> TestClient:
    """The pages of a platform for a logged-in user; an engineer unless another is given."""
    from parc.ui.app import app
    from parc.ui.visitors import Visitor, visitor

    user = who or Visitor("emil", may_answer=True)

    pages = FastAPI()
    pages.mount("/parc", app)
    allowed = {depends.dependency: lambda: None for depends in app.router.dependencies}
    allowed[visitor] = lambda: user

    class Client(TestClient):
        def request(self, *arguments: Any, **keywords: Any) -> Any:
            app.dependency_overrides = {**allowed, Settings.from_env: lambda: settings}
            return super().request(*arguments, **keywords)

    return Client(pages)


@contextmanager
def tab(client: TestClient, **options: Any) -> Iterator[Any]:
    """A tab of a browser that gets every answer from `client`."""
    if BROWSER is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    def answer(route: Any) -> None:
        asked = urlsplit(route.request.url)
        got = client.request(
            route.request.method,
            f"{asked.path}?{asked.query}",
            headers=route.request.headers,
            content=route.request.post_data_buffer,
        )
        route.fulfill(status=got.status_code, headers=dict(got.headers), body=got.content)

    flags = ["--no-sandbox", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        page = browser.new_page(base_url="http://testserver", **options)
        page.route("**/*", answer)
        yield page
        browser.close()
