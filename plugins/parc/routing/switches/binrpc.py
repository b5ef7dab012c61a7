"""Kamailio's remote procedure calls over its unix datagram socket: the only way in, open to its owner alone.

The encoding is Kamailio's own BINRPC (module `ctl`, binrpc.h), which `kamcmd` speaks too. A packet is

    0xA1, flags | bytes of the length - 1 | bytes of the cookie - 1, length, cookie, values

and a value is one byte for its size and kind, then its bytes. A size that does not fit follows in bytes of
its own.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from parc.errors import ConfigurationError, ParcError
from parc.findings import Step

IN_FLIGHT = 8
QUICK_SECONDS = 10
ANSWER_BYTES = 1 << 18
START = Step("start the platform's own switch", "parc up")
START_ANOTHER = Step("start another one where it runs", is_alternative=True)
MAGIC, FAULT = 0xA1, 3
INTEGER, STRING, STRUCTURE, ARRAY, NAME = 0, 1, 3, 4, 5
IS_LONG, LONG = 0x80, 8
CLIENT = "c-"
"""How the names of the sockets begin on which the switch answers us. Short, because paths must be short."""
Call = tuple[str, Sequence[str | int]]


class RpcRefused(ParcError):
    """The switch answered a call with an error."""


class Rpc:
    """Calls to the switch that owns the socket at `path`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def call(self, method: str, *params: str | int, seconds: float = QUICK_SECONDS) -> Any:
        """The result of one call.

        Raises RpcRefused with the switch's message, ConfigurationError when it does not answer in time.
        """
        [answer] = self._exchange([(method, params)], seconds)
        if "error" in answer:
            raise RpcRefused(f"the switch refused {method}: {answer['error']}")
        return answer.get("result")

    def many(self, calls: Sequence[Call], seconds: float = QUICK_SECONDS) -> list[Any]:
        """The results of many calls, in order; None for a call that the switch answered with an error.

        Raises ConfigurationError when no answer arrives within `seconds`.
        """
        return [answer.get("result") for answer in self._exchange(calls, seconds)]

    def _exchange(self, calls: Sequence[Call], seconds: float) -> list[dict[str, Any]]:
        """The answers: {"result": ...}, or {"error": ...} with the switch's message."""
        answers: list[dict[str, Any]] = []
        try:
            with _connected(self.path, seconds) as own:
                sent = 0
                while len(answers) < len(calls):
                    while sent < len(calls) and sent - len(answers) < IN_FLIGHT:
                        method, params = calls[sent]
                        own.send(encode(sent, method, *params))
                        sent += 1
                    cookie, answer = decode(own.recv(ANSWER_BYTES))
                    if cookie != len(answers):
                        raise ConfigurationError(f"the switch at {self.path} answered out of order")
                    answers.append(answer)
        except TimeoutError:
            method = calls[len(answers)][0]
            raise ConfigurationError(
                f"the switch at {self.path} did not answer {method} within {seconds:g} s; see its log"
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"the switch at {self.path} does not answer ({error.strerror or error})",
                steps=(START, START_ANOTHER),
            ) from None
        except (IndexError, UnicodeDecodeError, RecursionError):
            raise ConfigurationError(f"the switch at {self.path} does not answer in BINRPC") from None
        return answers


def encode(cookie: int, method: str, *params: str | int) -> bytes:
    """A call as a packet. Numbers must not be negative."""
    body = b"".join(map(_value, (method, *params)))
    length, mark = _bytes(len(body)), _bytes(cookie)
    return bytes([MAGIC, (len(length) - 1) << 2 | (len(mark) - 1)]) + length + mark + body


def decode(packet: bytes) -> tuple[int, dict[str, Any]]:
    """The cookie and the answer of a reply: its value, or a list if there are several.

    Raises IndexError or UnicodeDecodeError if the packet is no reply.
    """
    if packet[0] != MAGIC:
        raise IndexError("no BINRPC")
    length_size, cookie_size = (packet[1] >> 2 & 3) + 1, (packet[1] & 3) + 1
    begin = 2 + length_size + cookie_size
    cookie = int.from_bytes(packet[2 + length_size : begin])
    values, _ = _values(packet, begin)
    if packet[1] >> 4 == FAULT:
        return cookie, {"error": values[1]}
    return cookie, {"result": values[0] if len(values) == 1 else values}


def _bytes(number: int) -> bytes:
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8))


def _value(given: str | int) -> bytes:
    kind, data = (INTEGER, _bytes(given)) if isinstance(given, int) else (STRING, given.encode() + b"\0")
    if len(data) < LONG:
        return bytes([len(data) << 4 | kind]) + data
    size = _bytes(len(data))
    return bytes([IS_LONG | len(size) << 4 | kind]) + size + data


def _values(packet: bytes, at: int) -> tuple[list[Any], int]:
    """The values from `at` to the end of the packet or of their group, and the position of that end. A named
    value is {name: value}."""
    found: list[Any] = []
    name: str | None = None
    while at < len(packet):
        head = packet[at]
        at += 1
        kind, size = head & 15, head >> 4 & 7
        value: Any
        if kind in (STRUCTURE, ARRAY):
            if head & IS_LONG:
                break
            value, at = _values(packet, at)
            if kind == STRUCTURE:
                value = _merged(value)
        else:
            if head & IS_LONG:
                size, at = int.from_bytes(packet[at : at + size]), at + size
            data, at = packet[at : at + size], at + size
            value = int.from_bytes(data) if kind == INTEGER else data.rstrip(b"\0").decode()
            if kind == NAME:
                name = value
                continue
        found.append(value if name is None else {name: value})
        name = None
    return found, at


def _merged(named: list[Any]) -> dict[str, Any] | list[Any]:
    """The values as one dictionary; unchanged if a name is missing or occurs twice."""
    if not all(isinstance(each, dict) for each in named):
        return named
    names = [name for each in named for name in each]
    if len(set(names)) < len(names):
        return named
    return {name: value for each in named for name, value in each.items()}


@contextmanager
def _connected(path: str, seconds: float) -> Iterator[socket.socket]:
    """A socket with a path beside the switch's, to which it answers. A path works from another container too;
    a name without a path does not."""
    name = Path(path).with_name(f"{CLIENT}{secrets.token_hex(3)}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.settimeout(seconds)
        own.bind(str(name))
        try:
            owner = Path(path).stat()
            if owner.st_uid != os.geteuid():  # root may talk to another user's switch, which answers here
                os.chown(name, owner.st_uid, owner.st_gid)
            own.connect(path)
            yield own
        finally:
            name.unlink(missing_ok=True)
