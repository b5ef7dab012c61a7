"""The processes that load deliveries."""

from __future__ import annotations

import psutil


def worker_of(process: psutil.Process) -> psutil.Process:
    """The process that loads for this one, which may have other children."""
    [worker] = [child for child in process.children() if "parc.loading.worker" in child.cmdline()]
    return worker
