"""What the UI says while PostgreSQL does not answer.

Airflow asks its own tables about every login, so that each of its pages fails then, and not ours alone.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Send

from parc.errors import ParcError
from parc.findings import FindingKind, Step, with_steps
from parc.machine import processes
from parc.settings import Settings
from parc.ui.html import PAGE_HEADERS, markdown, page
from parc.warehouse import connect

TITLE = "The warehouse does not answer"
RETRY_SECONDS = "10"


class OutagePage:
    """ASGI middleware around all of Airflow's API server: answers 503, in plain words, where the database
    cannot be reached."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pass everything on, and explain an error of the database unless an answer has begun."""
        has_begun = False

        async def notice(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, notice)
        except DBAPIError as problem:
            if scope["type"] != "http" or has_begun or not is_outage(problem):
                raise
            answer = await run_in_threadpool(self._answer, scope, problem)
            await answer(scope, receive, send)

    def _answer(self, scope: Any, problem: DBAPIError) -> Response:
        base = f"{scope.get('root_path', '')}/parc"
        request = Request({**scope, "root_path": base})
        what, steps = explained(Settings.from_env(), problem)
        if "text/html" in request.headers.get("accept", ""):
            return outage_page(request, what, steps)
        return JSONResponse(
            {"detail": with_steps(what, steps)},
            HTTPStatus.SERVICE_UNAVAILABLE,
            {"Retry-After": RETRY_SECONDS},
        )


def is_outage(problem: DBAPIError) -> bool:
    """Whether the database could not be reached, or ended the connection; not a statement that it refused."""
    return problem.connection_invalidated or type(problem).__name__ in ("OperationalError", "InterfaceError")


def outage_page(request: Request, what: str, steps: tuple[Step, ...]) -> HTMLResponse:
    """The page that says what does not answer, and what to do; with the runbook, whose own page does not open
    either."""
    runbook = Settings.from_env().project / FindingKind.WAREHOUSE.runbook
    answer = page(
        request,
        "problem",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        title=TITLE,
        what=what,
        steps=steps,
        runbook=runbook,
        text=markdown(runbook.read_text()),
    )
    answer.headers.update({**PAGE_HEADERS, "Retry-After": RETRY_SECONDS})
    return answer


def explained(settings: Settings, problem: Exception) -> tuple[str, tuple[Step, ...]]:
    """What does not answer, and the steps that bring it back."""
    cause = problem if isinstance(problem, ParcError) else _cause(settings)
    if cause:
        for finding in processes.findings(settings):
            if finding.subject.name == "postgresql":
                is_told = finding.text in cause.text
                return cause.text if is_told else f"{cause.text}: {finding.text}", finding.steps
        return cause.text, cause.steps
    words = str(getattr(problem, "orig", None) or problem).strip().partition("\n")[0]
    return f"The database ended the request: {words}", (
        Step("load the page again"),
        Step("see what is wrong", "parc doctor", is_alternative=True),
    )


def _cause(settings: Settings) -> ParcError | None:
    """Why the warehouse cannot be reached; None if it can, again or still."""
    try:
        with connect(settings, "reader"):
            return None
    except ParcError as error:
        return error
