"""Receivers of notices on loopback: a webhook, and an SMTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from parc.host.processes import free_port


@dataclass
class Webhook:
    """A webhook: what it was sent, and the port at which it listens. It answers 200 to what is posted to
    `/good`, and 500 to everything else and while it `is_down`."""

    port: int = 0
    received: list[dict[str, Any]] = field(default_factory=list)
    is_down: bool = False

    @property
    def titles(self) -> list[str]:
        return [each["title"].removeprefix("PARC: ") for each in self.received]


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A running webhook."""
    hook = Webhook()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not hook.is_down:
                hook.received.append(message)
            is_taken = self.path.startswith("/good") and not hook.is_down
            self.send_response(200 if is_taken else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook.port = server.server_port
    yield hook
    server.shutdown()
    server.server_close()


@contextmanager
def mailbox() -> Iterator[tuple[int, list[EmailMessage]]]:
    """A running SMTP server: its port, and the messages that it takes."""
    received: list[EmailMessage] = []

    class Handler:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
            assert envelope.content
            received.append(message_from_bytes(bytes(envelope.content), policy=default))
            return "250 taken"

    server = Controller(Handler(), hostname="127.0.0.1", port=free_port())
    server.start()
    yield server.port, received
    server.stop()
