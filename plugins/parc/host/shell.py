"""How a shell calls `parc` on one platform, so that every printed command works there as printed."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from parc.settings import PROJECT, Settings

PROGRAM = Path(sys.executable).with_name("parc")


def definition(settings: Settings) -> str:
    """A shell function `parc` for this platform. It names no secret: a DSN comes from the shell's own
    environment, as for Airflow."""
    given = {"PARC_HOME": str(settings.home)}
    if not settings.has_own_landing:
        given["PARC_LANDING"] = settings.landing
    if settings.switch != str(settings.home / "switch"):
        given["PARC_SWITCH"] = settings.switch
    if settings.backups:  # without it, `parc up` would keep no log
        given |= {"PARC_BACKUPS": str(settings.backups), "PARC_BACKUP_DAYS": str(settings.backup_days)}
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in given.items())
    return f'parc() {{ {variables} {shlex.quote(str(PROGRAM))} "$@"; }}'


def is_needed(settings: Settings) -> bool:
    """Whether a shell with this path and no settings would call another `parc`, or none."""
    found = shutil.which("parc")
    is_own = found is not None and Path(found).resolve() == PROGRAM.resolve()
    return not is_own or settings.home != PROJECT / ".parc"
