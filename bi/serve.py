"""Prepare Superset and serve it: `python bi/serve.py [HOST:PORT]`. All that it keeps is in PARC_BI_HOME.

One process: it brings Superset's tables up to date, makes the logins, imports `bi/assets` if they have
changed, and then hands the prepared application to gunicorn.
"""

import sys
from typing import Any

import contents
from gunicorn.app.base import BaseApplication
from superset.app import create_app
from superset.extensions import db

THREADS = 4
"""A directorate's login to the warehouse may have four sessions at a time."""


class Server(BaseApplication):
    """Gunicorn with the application that is prepared already."""

    def __init__(self, application: Any, address: str) -> None:
        self.application, self.address = application, address
        super().__init__()

    def load_config(self) -> None:
        """One process with a few threads: its memory is the application's."""
        for name, value in {
            "bind": self.address,
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "timeout": 120,
            "keepalive": 5,
            "control_socket_disable": True,
            "proc_name": "superset",
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The prepared application."""
        return self.application


def main() -> None:
    """Prepare and serve."""
    application = create_app()
    with application.app_context():
        contents.prepare()
        db.session.remove()
        db.engine.dispose()
    Server(application, sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8088").run()


if __name__ == "__main__":
    main()
