"""Kamailio's JSON-RPC over its unix datagram socket: the one way in, for the owner of the socket alone."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from parc.errors import ConfigurationError, ParcError

IN_FLIGHT = 8
QUICK_SECONDS = 10
ANSWER_BYTES = 1 << 18
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
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as own:
            own.settimeout(seconds)
            try:
                own.bind("")  # the kernel names it; nothing is left in the file system
                own.connect(self.path)
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
