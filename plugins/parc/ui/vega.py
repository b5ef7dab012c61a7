"""The chart library: Vega, Vega-Lite and Vega-Embed as one script, which the installed package
vl-convert-python holds. Nothing is fetched."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from parc.errors import ParcError
from parc.settings import Settings
from parc.ui.visitors import Platform

router = APIRouter()

NAME = f"vega-{version('vl-convert-python')}.js"
MAKE = (
    "import sys, vl_convert; sys.stdout.reconfigure(encoding='utf-8'); print(vl_convert.javascript_bundle())"
)
"""Bundles the script, which takes seconds and an engine for JavaScript: in a process of its own, once."""
MAKING_SECONDS = 120


@router.get(f"/charts/{NAME}")
def show_library(settings: Platform) -> FileResponse:
    """The script. Its name changes with its version, so browsers may keep it."""
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(made(settings), media_type="text/javascript; charset=utf-8", headers=headers)


def made(settings: Settings) -> Path:
    """The file of the script, made if there is none yet.

    Raises ParcError if the package cannot make it.
    """
    path = settings.home / "charts" / NAME
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{NAME}.{os.getpid()}")
        done = subprocess.run(
            [sys.executable, "-c", MAKE], capture_output=True, check=False, timeout=MAKING_SECONDS
        )
        if done.returncode:
            raise ParcError(f"the chart library cannot be made: {done.stderr.decode()[-500:].strip()}")
        draft.write_bytes(done.stdout)
        draft.replace(path)
    return path
