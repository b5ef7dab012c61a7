"""Kamailio's JSON-RPC over its unix datagram socket: the one way in, for the owner of the socket alone."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from parc.errors import ConfigurationError, ParcError

IN_FLIGHT = 8
QUICK_SECONDS = 10
ANSWER_BYTES = 1 << 18
CLIENT = "c-"
"""How the sockets begin on which the switch answers us; no longer than its own name, as paths are short."""
Call = tuple[str, Sequence[str | int]]


class RpcRefused(ParcError):
    """The switch answered a call with an error."""


class Rpc:
    """Calls to the switch that owns the socket at `path`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def call(self, method: str, *params: str | int, seconds: float = QUICK_SECONDS) -> Any:
        """The result of one call.

        Raises RpcRefused with the switch's words, ConfigurationError when it does not answer in time.
        """
        [answer] = self._exchange([(method, params)], seconds)
        if "error" in answer:
            raise RpcRefused(f"the switch refused {method}: {answer['error'].get('message')}")
        return answer.get("result")

    def many(self, calls: Sequence[Call], seconds: float = QUICK_SECONDS) -> list[Any]:
        """The results of many calls in their order, None where the switch answered one with an error.

        Raises ConfigurationError when an answer does not come within `seconds`.
        """
        return [answer.get("result") for answer in self._exchange(calls, seconds)]

    def _exchange(self, calls: Sequence[Call], seconds: float) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        try:
            with _connected(self.path, seconds) as own:
                sent = 0
                while len(answers) < len(calls):
                    while sent < len(calls) and sent - len(answers) < IN_FLIGHT:
                        method, params = calls[sent]
                        request = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": sent}
                        own.send(json.dumps(request).encode())
                        sent += 1
                    answers.append(json.loads(own.recv(ANSWER_BYTES)))
        except TimeoutError:
            method = calls[len(answers)][0]
            raise ConfigurationError(
                f"the switch at {self.path} did not answer {method} within {seconds:g} s; see its log"
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"the switch at {self.path} does not answer ({error.strerror or error}); `parc up` "
                "starts the platform's own, an outside one is started where it runs"
            ) from None
        if [answer.get("id") for answer in answers] != list(range(len(calls))):
            raise ConfigurationError(f"the switch at {self.path} answered out of order")
        return answers


@contextmanager
def _connected(path: str, seconds: float) -> Iterator[socket.socket]:
    """A socket with a path of its own beside the switch's, where it answers: also from another container,
    which a name without a path does not reach."""
    name = Path(path).with_name(f"{CLIENT}{secrets.token_hex(3)}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.settimeout(seconds)
        own.bind(str(name))
        try:
            owner = Path(path).stat()
            if owner.st_uid != os.geteuid():  # root may speak to a switch of another user, which answers here
                os.chown(name, owner.st_uid, owner.st_gid)
            own.connect(path)
            yield own
        finally:
            name.unlink(missing_ok=True)
