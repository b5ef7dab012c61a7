"""The command line in a separate process."""

from __future__ import annotations

import os
import subprocess

from parc.settings import Settings
from support import preloaded


def environment(settings: Settings) -> dict[str, str]:
    """The variables that name a platform."""
    return {
        "PARC_HOME": str(settings.home),
        "PARC_WAREHOUSE_DSN": settings.warehouse_dsn or "",
        "PARC_LANDING": settings.landing,
        "PARC_SWITCH": settings.switch,
    }


def parc(settings: Settings, *arguments: str, **others: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a platform."""
    return preloaded.command(arguments, os.environ | environment(settings) | others)
