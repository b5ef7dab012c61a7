"""The command line in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from parc.settings import Settings


def environment(settings: Settings) -> dict[str, str]:
    """The variables that name a platform."""
    return {
        "PARC_HOME": str(settings.home),
        "PARC_WAREHOUSE_DSN": settings.warehouse_dsn or "",
        "PARC_LANDING": settings.landing,
        "PARC_SWITCH": settings.switch,
    }


def parc(settings: Settings, *arguments: str, **others: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command on a platform."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("parc")), *arguments],
        env=os.environ | environment(settings) | others,
        capture_output=True,
        text=True,
        check=False,
    )
