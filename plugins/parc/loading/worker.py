"""The process that loads deliveries for `parc.loading.isolation`.

A request is a tuple: settings, feed, business date, options of `ingest`. The answer is the outcome, the
exception raised, or the reason why the delivery must be refused.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from resource import RLIMIT_DATA, getrlimit, setrlimit
from typing import Any

import psycopg

from parc.errors import ParcError
from parc.loading import incidents
from parc.loading.ingestion import Outcome, ingest
from parc.loading.limits import MOST_MEMORY_BYTES
from parc.settings import Settings

Request = tuple[Settings, str, date, dict[str, Any]]


def main(line: Connection) -> None:
    """Answer requests until the connection is closed."""
    _limit_memory()
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    requests: SimpleQueue[Request] = SimpleQueue()
    threading.Thread(target=_listen, args=[line, requests], daemon=True).start()
    while True:
        line.send(_answer(*requests.get()))


def _listen(line: Connection, requests: SimpleQueue[Request]) -> None:
    """Receive requests. When the parent ends, the connection closes and ends any load in progress."""
    while True:
        try:
            requests.put(line.recv())
        except (EOFError, OSError):
            os._exit(0)


def _limit_memory() -> None:
    """Cap the memory that a file can take, and let the kernel kill this process first if memory runs out."""
    setrlimit(RLIMIT_DATA, (MOST_MEMORY_BYTES, getrlimit(RLIMIT_DATA)[1]))
    with suppress(OSError):  # not permitted everywhere
        Path("/proc/self/oom_score_adj").write_text("1000")


def _answer(
    settings: Settings, feed: str, business_date: date, options: dict[str, Any]
) -> Outcome | Exception | str:
    try:
        return ingest(settings, feed, business_date, **options)
    except ParcError as error:
        return error
    except psycopg.OperationalError as error:
        return type(error)(str(error))  # without its connection, which cannot be sent
    except Exception as error:
        return incidents.keep(settings, feed, business_date, error)


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
