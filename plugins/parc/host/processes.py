"""Programs of the platform that run on by themselves."""

from __future__ import annotations

import socket

from parc.errors import ConfigurationError


def free_port(preferred: int | None = None) -> int:
    """A free TCP port on loopback: the preferred one if it is free."""
    for candidate in (preferred, 0):
        if candidate is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConfigurationError("no free TCP port on 127.0.0.1")
