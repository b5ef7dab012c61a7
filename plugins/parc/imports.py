"""Imports of large libraries."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def first_import(library: str) -> Iterator[None]:
    """Import a large library without collecting garbage, now or later, among the objects that it makes.

    Great Expectations and dbt make half a million that stay; looking through them again and again takes a
    third of the time.
    """
    if library in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
