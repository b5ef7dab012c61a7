"""The ports of the platform's own switch."""

from __future__ import annotations

import socket

from parc.routing.switches.local import reserved_port

PREFERRED = 24_860


def test_two_platforms_that_start_at_once_get_different_ports() -> None:
    with reserved_port(PREFERRED) as one, reserved_port(PREFERRED) as other:
        assert one == PREFERRED
        assert other not in (one, one + 1)
    with reserved_port(PREFERRED) as later:
        assert later == PREFERRED


def test_a_port_whose_next_one_is_taken_is_not_free() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", PREFERRED + 1))
        with reserved_port(PREFERRED) as port:
            assert port != PREFERRED
