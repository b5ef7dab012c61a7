"""Pages that others wrote or that are files: Data Docs, runbooks, the documentation, dbt's page."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from parc.build import documentation
from parc.findings import FindingKind
from parc.settings import Settings
from parc.ui.html import DOCS_POLICY, PROJECT_POLICY, markdown, navigation, page
from parc.ui.visitors import Platform

router = APIRouter()


def find(settings: Settings, path: str) -> Path | None:
    """The page under `home/data_docs` at this path; None if there is none or it is elsewhere."""
    folder = (settings.home / "data_docs").resolve()
    if "\0" in path:
        return None
    found = (folder / path).resolve()
    is_page = found.is_relative_to(folder) and found.suffix == ".html" and not found.name.startswith(".")
    return found if is_page and found.is_file() else None


@router.get("/docs/{path:path}")
def show_docs(request: Request, settings: Platform, path: str) -> Response:
    """Show a page of the Data Docs, with our links above it."""
    if not path:
        return RedirectResponse(f"{request.scope['root_path']}/docs/index.html")
    found = find(settings, path)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such page in the Data Docs.")
    text = found.read_text().replace("<main>", f"<main>{navigation(request)}", 1)
    return HTMLResponse(text, headers={"Content-Security-Policy": DOCS_POLICY})


@router.get("/runbooks/{name}")
def show_runbook(request: Request, settings: Platform, name: str) -> HTMLResponse:
    """Show the runbook of a kind of finding. Runbooks link to each other with `.md`."""
    slug = name.removesuffix(".md")
    runbooks = {kind.slug: settings.project / kind.runbook for kind in FindingKind}
    if slug not in runbooks or not runbooks[slug].is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such runbook.")
    return page(request, "runbook", name=slug, text=markdown(runbooks[slug].read_text()))


@router.get("/{folder}/{name}.md")
def show_documentation(
    request: Request,
    settings: Platform,
    folder: Literal["adr", "how-to", "reference"],
    name: Annotated[str, PathParameter(pattern=r"^\w[\w-]*$")],
) -> HTMLResponse:
    """A page of the documentation that a runbook links to."""
    path = settings.project / "docs" / folder / f"{name}.md"
    if not path.is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such page.")
    return page(request, "runbook", name=name, text=markdown(path.read_text()))


@router.get("/project")
def show_project(request: Request, settings: Platform) -> HTMLResponse:
    """Show dbt's page of the project (models, columns, tests, lineage) in a frame, with our links above."""
    _made(settings)
    return page(request, "project")


@router.get("/project/page")
def show_project_page(settings: Platform) -> FileResponse:
    """What is in that frame."""
    made = _made(settings)
    return FileResponse(made, media_type="text/html", headers={"Content-Security-Policy": PROJECT_POLICY})


def _made(settings: Settings) -> Path:
    made = documentation.page(settings)
    if not made.exists():
        raise HTTPException(
            HTTPStatus.NOT_FOUND, "The page does not exist yet. The next build makes it, or `parc docs`."
        )
    return made
