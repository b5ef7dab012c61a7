"""Telephones that speak handwritten SIP to the switch, within its rules and beyond. All on loopback."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from parc.routing.switches import local
from parc.settings import Settings

PEER, OTHER_PEER, STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.9"
SECONDS = 3.0


@dataclass
class Phone:
    """A UDP socket and the switch that it speaks to, by (address, port)."""

    own: socket.socket
    switch: tuple[str, int]

    @property
    def address(self) -> str:
        """As host:port."""
        host, port = self.own.getsockname()
        return f"{host}:{port}"

    def send(self, message: str | bytes, port: int | None = None) -> None:
        """Send one message, to the switch's port for calls or to another of its ports."""
        data = message if isinstance(message, bytes) else message.encode()
        self.own.sendto(data, (self.switch[0], port or self.switch[1]))

    def receive(self, seconds: float = SECONDS) -> str | None:
        """The next message; None if none arrives in time."""
        self.own.settimeout(seconds)
        try:
            return self.own.recv(65_535).decode(errors="replace")
        except TimeoutError:
            return None

    def everything(self, seconds: float = 0.5) -> list[str]:
        """All messages until none has arrived for this long."""
        found = []
        while (message := self.receive(seconds)) is not None:
            found.append(message)
        return found

    def final(self, seconds: float = SECONDS) -> str | None:
        """The next reply that is not provisional."""
        end = time.monotonic() + seconds
        while (message := self.receive(max(end - time.monotonic(), 0.01))) is not None:
            if message.startswith("SIP/2.0") and not message.startswith("SIP/2.0 1"):
                return message
        return None


@contextmanager
def phone(settings: Settings, address: str = PEER) -> Iterator[Phone]:
    """A telephone at any free port of an address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((address, 0))
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        yield Phone(own, ("127.0.0.1", local.calls_port(settings)))


@dataclass
class Dialog:
    """One call as its caller sees it."""

    caller: Phone
    number: str = "+33299445566"
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    to_tag: str = ""
    target: str = ""
    routes: list[str] = field(default_factory=list)
    sequence: int = 0

    def request(
        self,
        method: str,
        uri: str | None = None,
        routes: Sequence[str] | None = None,
        headers: Sequence[str] = (),
        body: str = "",
    ) -> str:
        """The next request of the caller; `uri` and `routes` are the call's unless given."""
        self.sequence += method not in ("ACK", "CANCEL")
        switch = f"{self.caller.switch[0]}:{self.caller.switch[1]}"
        to = f"To: <sip:3900@{switch}>" + (f";tag={self.to_tag}" if self.to_tag else "")
        lines = [
            f"{method} {uri or self.target or f'sip:3900@{switch}'} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.caller.address};branch=z9hG4bK{secrets.token_hex(6)}",
            f"From: <sip:{self.number}@{self.caller.address}>;tag={self.tag}",
            to,
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.sequence} {method}",
            f"Contact: <sip:caller@{self.caller.address}>",
            "Max-Forwards: 70",
            *(f"Route: {route}" for route in (self.routes if routes is None else routes)),
            *headers,
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", body])

    def begin(self, headers: Sequence[str] = ()) -> str:
        """Call, be answered, acknowledge; returns the answer, from which the call's route is learnt."""
        self.caller.send(self.request("INVITE", headers=headers))
        answer = self.caller.final()
        assert answer and answer.startswith("SIP/2.0 200"), answer
        self.to_tag = values(answer, "To")[0].rsplit("tag=", 1)[1]
        self.routes = values(answer, "Record-Route")[::-1]
        self.target = values(answer, "Contact")[0].strip("<>")
        self.caller.send(self.request("ACK"))
        return answer

    def ask(self, method: str, **given: object) -> str | None:
        """A request within the call, and the final reply to it."""
        self.caller.send(self.request(method, **given))  # type: ignore[arg-type]
        return self.caller.final()


def values(message: str, name: str) -> list[str]:
    """What a message has under a header, from the first to the last."""
    lines = message.split("\r\n\r\n", 1)[0].split("\r\n")[1:]
    return [line.split(":", 1)[1].strip() for line in lines if line.lower().startswith(f"{name.lower()}:")]


def status(message: str | None) -> int:
    """The status code of a reply; 0 where there was none."""
    return int(message.split(" ", 2)[1]) if message else 0
