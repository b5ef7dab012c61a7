"""A login cookie for each platform, so that two of them in one browser do not end each other's logins.

Airflow's login cookie is `_token` everywhere: the name is a constant of its server and of its login page, and
a browser sends a host's cookies to all its ports. Here the browser keeps it under a name with the platform's
port.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from airflow.api_fastapi.app import get_cookie_path
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from starlette.types import ASGIApp, Message, Receive, Send

NAME = COOKIE_NAME_JWT_TOKEN
SET = b"set-cookie"


class OwnCookie:
    """ASGI middleware around all of Airflow's API server: inside it the cookie has Airflow's name, outside
    the platform's own.

    The login page sets Airflow's name by script. The first request that brings it moves the token, if
    `is_own` says that this platform has signed it.
    """

    def __init__(self, app: ASGIApp, port: int, is_own: Callable[[str], Awaitable[bool]]) -> None:
        self._app = app
        self._own_name = f"{NAME}_{port}"
        self._is_own = is_own

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Rename the cookie of the request, and those that the answer sets."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cookies = _cookies(scope)
        fresh, kept = cookies.pop(NAME, None), cookies.pop(self._own_name, None)
        is_moved = bool(fresh) and await self._is_own(str(fresh))
        if token := fresh if is_moved else kept:
            cookies[NAME] = token
        line = "; ".join(f"{name}={value}" for name, value in cookies.items())
        headers = [each for each in scope["headers"] if each[0] != b"cookie"]
        headers += [(b"cookie", line.encode("latin-1"))] if line else []

        async def rename(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._answered(scope, message, str(fresh) if is_moved else None)
            await send(message)

        await self._app({**scope, "headers": headers}, receive, rename)

    def _answered(self, scope: Any, message: Message, moved: str | None) -> list[tuple[bytes, bytes]]:
        """The headers of an answer; it also moves a token that the login page has set."""
        ours, airflows = f"{self._own_name}=".encode(), f"{NAME}=".encode()
        headers = [
            (name, ours + value.removeprefix(airflows))
            if name.lower() == SET and value.startswith(airflows)
            else (name, value)
            for name, value in message.get("headers", [])
        ]
        if moved is None:
            return headers
        path = f"Path={get_cookie_path()}"
        if not any(value.startswith(ours) for _, value in headers):
            secure = "; Secure" if scope.get("scheme") == "https" else ""
            kept = f"{self._own_name}={moved}; {path}; HttpOnly; SameSite=Lax{secure}"
            headers.append((SET, kept.encode("latin-1")))
        return [*headers, (SET, f"{NAME}=; {path}; Max-Age=0".encode())]


def _cookies(scope: Any) -> dict[str, str]:
    """The cookies of a request by name."""
    line = b"; ".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    pairs = (pair.strip().partition("=") for pair in line.split(";"))
    return {name: value for name, equals, value in pairs if equals}
