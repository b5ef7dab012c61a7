"""`python -m parc.platform.restart NAME` starts one of the platform's programs again; the supervisor runs it.
It ends with 1 and says why on standard error where that fails."""

from __future__ import annotations

import sys

from parc.errors import parts_of
from parc.host import services
from parc.settings import Settings
from parc.warehouse import embedded


def restart(settings: Settings, name: str) -> None:
    """Start the program of this name, as `parc up` does.

    Raises ConfigurationError when it does not start.
    """
    if name in ("postgresql", "log receiver"):
        embedded.start(settings)
    elif name == "kamailio":
        from parc.routing.switches import local  # takes a second to import

        local.start(settings)
    else:
        services.restart(settings, name, embedded.airflow_url(settings))


if __name__ == "__main__":
    try:
        restart(Settings.from_env(), sys.argv[1])
    except Exception as error:
        sys.exit(parts_of(error)[0] or type(error).__name__)
