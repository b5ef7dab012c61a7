"""Superset as its users meet it: a browser, and its API."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from parc.platform.bi import StartedBi
from parc.settings import Settings
from parc.warehouse import parameters
from support.running import BROWSER

TELEMETRY = "gateway.scarf.sh"
DATA = ("/api/v1/chart/data", "/superset/explore_json/")
DRAWN_SECONDS = 120
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@dataclass
class Seen:
    """A dashboard in a browser: what each chart asked and was answered, what went wrong, which other hosts
    were asked, and its note."""

    asked: dict[int, tuple[str, str]] = field(default_factory=dict)
    answers: dict[int, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)
    drawn: dict[str, int] = field(default_factory=dict)
    """The marks of each chart: numbers, table rows, shapes, canvases."""
    texts: dict[str, str] = field(default_factory=dict)
    note: str = ""


class Api:
    """The API as one login."""

    def __init__(self, bi: StartedBi, login: str) -> None:
        self.client = httpx.Client(base_url=bi.address, timeout=60)
        given = {"username": login, "password": bi.logins[login], "provider": "db", "refresh": False}
        token = self.client.post("/api/v1/security/login", json=given).raise_for_status().json()
        self.client.headers["Authorization"] = f"Bearer {token['access_token']}"
        # The maps ask an older address, which knows the session of a browser alone.
        form = {**given, "csrf_token": self.get("/api/v1/security/csrf_token/")}
        self.client.post("/login/", data=form, headers={"Referer": bi.address})

    def get(self, path: str) -> Any:
        """The result of a path."""
        return self.client.get(path).raise_for_status().json()["result"]

    def charts(self, dashboard: str) -> dict[int, str]:
        """The names of a dashboard's charts by their numbers."""
        return {
            chart["id"]: chart["slice_name"] for chart in self.get(f"/api/v1/dashboard/{dashboard}/charts")
        }

    def change_chart(self, number: int, **changes: Any) -> None:
        """Change a chart as its page does."""
        token = self.get("/api/v1/security/csrf_token/")
        headers = {"X-CSRFToken": token, "Referer": str(self.client.base_url)}
        self.client.put(f"/api/v1/chart/{number}", json=changes, headers=headers).raise_for_status()

    def ask(self, asked: tuple[str, str]) -> httpx.Response:
        """What a browser asked as another login, asked as this one."""
        url, body = asked
        place = urlsplit(url)
        content = {"Content-Type": "application/json"}
        if "explore_json" in place.path:
            return self.client.post(f"{place.path}?{place.query}", data={"form_data": body})
        return self.client.post(f"{place.path}?{place.query}", content=body, headers=content)


@contextmanager
def browser(bi: StartedBi, login: str) -> Iterator[Any]:
    """A page of Superset in Chromium, logged in."""
    if BROWSER is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        page = started.new_page(
            viewport={"width": 1440, "height": 1000}, base_url=bi.address, reduced_motion="reduce"
        )
        page.set_default_timeout(DRAWN_SECONDS * 1000)
        page.goto("/login/")
        page.locator("input[type=password]").wait_for()
        page.locator("input:not([type=password]):visible").first.fill(login)
        page.locator("input[type=password]").fill(bi.logins[login])
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/login" not in url)
        yield page
        started.close()


def open_dashboard(page: Any, name: str, chart_count: int) -> Seen:
    """Open a dashboard at its whole height, and wait until each chart is answered and drawn."""
    seen = Seen()
    host = urlsplit(page.url).netloc
    listeners = {
        "console": lambda message: _console(seen, message),
        "pageerror": lambda error: seen.errors.append(str(error)),
        "request": lambda request: seen.foreign.add(urlsplit(request.url).netloc),
        "response": lambda response: _answer(seen, response),
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    page.goto(f"/superset/dashboard/{name}/")
    page.locator(".dashboard-grid, [data-test=grid-content]").first.wait_for()
    page.set_viewport_size({"width": 1440, "height": 3200})
    deadline = time.monotonic() + DRAWN_SECONDS
    while len(seen.answers) < chart_count or page.locator("[data-test=loading-indicator], .loading").count():
        assert time.monotonic() < deadline, (
            f"{len(seen.answers)} of {chart_count} charts of {name} are answered"
        )
        page.wait_for_timeout(200)
    page.wait_for_timeout(500)
    for number in seen.answers:
        place = page.locator(f"[data-test-chart-id='{number}'], #chart-id-{number}").first
        inside = place.locator(".slice_container")
        seen.drawn[str(number)] = inside.locator("canvas, path, tbody tr, .header-line").count()
        seen.texts[str(number)] = place.inner_text()
    seen.note = page.locator(".dashboard-markdown").first.inner_text()
    seen.errors += page.locator("[role=alert]").all_inner_texts()
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    page.set_viewport_size({"width": 1440, "height": 1000})
    seen.foreign -= {host, ""}
    return seen


def _console(seen: Seen, message: Any) -> None:
    if message.type == "error" and TELEMETRY not in message.text:
        seen.errors.append(f"{message.text} {message.location.get('url', '')}")


def _answer(seen: Seen, response: Any) -> None:
    if not any(path in response.url for path in DATA):
        return
    query = parse_qs(urlsplit(response.url).query)
    form = json.loads(query.get("form_data", ["{}"])[0])
    body = response.request.post_data or ""
    if "explore_json" in response.url and not body.startswith("{"):
        body = _form_field(body)
        form = json.loads(body) | form
    if "slice_id" not in form:  # the values of a filter
        return
    seen.asked[form["slice_id"]] = (response.url, body)
    try:
        seen.answers[form["slice_id"]] = response.json()
    except Exception as error:  # the page went away
        seen.errors.append(str(error))
    if response.status != 200:
        seen.errors.append(f"{form['slice_id']}: {response.status} {response.text()[:300]}")


def _form_field(body: str) -> str:
    """The field `form_data` of a form, of either kind."""
    if "form-data" in body:
        return body.split('name="form_data"', 1)[1].split("\r\n\r\n", 1)[1].split("\r\n--", 1)[0]
    return parse_qs(body)["form_data"][0]


def answered(answer: Any) -> list[dict[str, Any]]:
    """The rows of a chart's first query."""
    rows: list[dict[str, Any]] = answer["result"][0]["data"]
    return rows


def asked_directly(settings: Settings, login: str, query: str) -> list[dict[str, Any]]:
    """The rows of a query as a login to the warehouse."""
    given = parameters(settings, "bi_reader")
    if login != "bi_reader":
        given |= {"user": login, "password": settings.secret(f"{login}_password")}
    with psycopg.connect(**given, row_factory=psycopg.rows.dict_row) as connection:  # type: ignore[arg-type]
        return connection.execute(query.encode()).fetchall()


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    """Rows with their values as Superset sends them, sorted."""
    return sorted(str({key: _plain(value) for key, value in sorted(row.items())}) for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _plain(value.timestamp() * 1000)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp() * 1000
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        number = float(value)
        return None if math.isnan(number) else float(f"{number:.12g}")
    return value
