"""The processes that tests fork have their libraries."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection

from support import preloaded


def test_forked_processes_have_imported_the_libraries() -> None:
    ours, theirs = preloaded.CONTEXT.Pipe()
    process = preloaded.start(_imported, theirs)
    assert ours.recv() >= {preloaded.PRELOADED, "dbt.cli.main", "great_expectations"}
    process.join()


def _imported(line: Connection) -> None:
    line.send({*sys.modules})
