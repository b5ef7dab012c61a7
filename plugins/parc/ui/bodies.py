"""What middlewares share that read the body of a request before Airflow does."""

from __future__ import annotations

import json

from starlette.types import Message, Receive, Send


async def read(receive: Receive, most_bytes: int) -> bytes | None:
    """The body of a request; None where it is too long."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > most_bytes:
            return None
        if not message.get("more_body", False):
            return body


def again(body: bytes, receive: Receive) -> Receive:
    """The same body again, then whatever arrives."""
    is_read = False

    async def reread() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return reread


async def refuse(send: Send, status: int, text: str, wait: int | None = None) -> None:
    """Answer with an error as Airflow's API does; `wait` is after how many seconds to try again."""
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if wait:
        headers.append((b"retry-after", str(wait).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": text}).encode()})
