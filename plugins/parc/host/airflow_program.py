"""Airflow's command line: `python -m parc.host.airflow_program COMMAND [then COMMAND]...` runs the commands,
one after the other, in one process that imports Airflow once.

Airflow makes a million objects that stay. Looking through them for garbage again and again takes a third of
the processor time of its start, so it is done seldom.
"""

from __future__ import annotations

import gc
import importlib
import runpy
import sys

THEN = "then"
OBJECTS = 50_000
"""So many new objects start a collection; Python's default is 700."""
USED_BY_TASKS = ("great_expectations", "adbc_driver_postgresql.dbapi", "polars", "psycopg")
"""Libraries that take long to import. The scheduler's executor forks the processes of tasks from its own, so
that these have them already."""


def main(words: list[str]) -> None:
    """Run the commands; the first that fails ends the process with its status."""
    gc.set_threshold(OBJECTS)
    while words:
        end = words.index(THEN) if THEN in words else len(words)
        command, words = words[:end], words[end + 1 :]
        if command[0] == "scheduler":
            for library in USED_BY_TASKS:
                importlib.import_module(library)
        sys.argv = ["airflow", *command]
        runpy.run_module("airflow", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
