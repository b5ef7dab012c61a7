"""Failed logins to Airflow are delayed, by name and by address.

A name has five attempts, an address twenty; each further one doubles the wait before the next, up to a
minute. Until then every attempt is refused, even with the right password: a guess costs a minute. A quarter
of an hour without a failure ends it.

Guessing at a name must not lock its owner out. So each browser that has logged in keeps a signed cookie with
the name, and its failures are counted separately (OWASP's "device cookies").
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import logging
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Send

from parc.ui import bodies

CountKey = tuple[str, str]

log = logging.getLogger(__name__)

PATHS = ("/auth/token", "/auth/token/cli", "/auth/login", "/auth/login/")
FREE = {"name": 5, "address": 20, "browser": 5}
"""Failures before the first wait."""
LONGEST_WAIT_SECONDS = 60
FORGET_SECONDS = 15 * 60
MOST_COUNTS = 10_000
MOST_BODY_BYTES = 8_192
COOKIE = "parc_known"
COOKIE_SECONDS = 90 * 24 * 3600


@dataclass(slots=True)
class Count:
    """Failures of one key: how many, when the last was, and until when the next is refused."""

    failures: int = 0
    last: float = 0.0
    until: float = 0.0


class Tally:
    """Failures by name, address and browser; the ones longest past go first when there are too many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._counts: OrderedDict[CountKey, Count] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are counted."""
        return len(self._counts)

    def wait(self, keys: list[CountKey]) -> float:
        """Seconds until an attempt with all these keys is accepted."""
        now = self._clock()
        return max((self._counts[key].until - now for key in keys if key in self._counts), default=0)

    def begin(self, keys: list[CountKey]) -> None:
        """An attempt: it counts as failed until it is known to be none, so that many at once gain nothing."""
        now = self._clock()
        for key in keys:
            count = self._counts.get(key)
            if count is None or now - count.last > FORGET_SECONDS:
                count = self._counts[key] = Count()
            count.failures, count.last = count.failures + 1, now
            beyond = count.failures - FREE[key[0]]
            count.until = now + min(2.0 ** min(beyond, 16), LONGEST_WAIT_SECONDS) if beyond >= 0 else now
            self._counts.move_to_end(key)
        while len(self._counts) > MOST_COUNTS:
            self._counts.popitem(last=False)

    def undo(self, keys: list[CountKey]) -> None:
        """It was no failed attempt."""
        for key in keys:
            if count := self._counts.get(key):
                count.failures, count.until = max(count.failures - 1, 0), 0.0

    def forget(self, keys: list[CountKey]) -> None:
        """Its person got in."""
        for key in keys:
            self._counts.pop(key, None)


class LoginDelay:
    """ASGI middleware around all of Airflow's API server: sees every login and its result."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._app = app
        self._tally = Tally(clock)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pass on what is no login; a login unless it must wait."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith(PATHS):
            await self._app(scope, receive, send)
            return
        body = await bodies.read(receive, MOST_BODY_BYTES)
        if body is None:
            await bodies.refuse(send, 413, f"A login has at most {MOST_BODY_BYTES} bytes.")
            return
        names = await _names(scope, body)
        known = _known(scope, names)
        address = ("address", _network(scope))
        keys = [("browser", known)] if known else [*(("name", name) for name in names), address]
        if (wait := math.ceil(self._tally.wait(keys))) > 0:
            await bodies.refuse(send, 429, f"Too many failed logins. Try again in {wait} s.", wait)
            return
        self._tally.begin(keys)
        is_settled = False

        async def settle(message: Message) -> None:
            nonlocal is_settled
            if message["type"] == "http.response.start" and not is_settled:
                is_settled = True
                self._settle(scope, message, keys, names)
            await send(message)

        try:
            await self._app(scope, bodies.again(body, receive), settle)
        finally:
            if not is_settled:
                self._tally.undo(keys)

    def _settle(self, scope: Any, answer: Message, keys: list[CountKey], names: list[str]) -> None:
        if answer["status"] == 401:
            if wait := math.ceil(self._tally.wait(keys)):
                log.warning("a login from %s failed again; next attempt in %s s", _network(scope), wait)
            return
        self._tally.undo(keys)
        if 200 <= answer["status"] < 300 and len(names) == 1:
            self._tally.forget([key for key in keys if key[0] != "address"])
            answer["headers"] = [*answer.get("headers", []), (b"set-cookie", _mark(scope, names[0]))]


async def _names(scope: Any, body: bytes) -> list[str]:
    """The names that a body may be read to have, as JSON and as a form: one, unless somebody plays tricks."""
    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    found: list[Any] = []
    with suppress(ValueError, TypeError, LookupError, RecursionError):
        found.append(json.loads(body)["username"])
    with suppress(HTTPException, ValueError, KeyError):
        form = await Request(scope, bodies.again(body, nothing)).form()
        found += form.getlist("username")
    return list(dict.fromkeys(name for name in found if isinstance(name, str)))


def _network(scope: Any) -> str:
    """Where a request comes from: an address, of IPv6 the network of 64 bits that one line has."""
    given = (scope.get("client") or ("unknown",))[0]
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        return str(given)
    return str(address if address.version == 4 else ipaddress.ip_network((address, 64), strict=False))


def _known(scope: Any, names: list[str]) -> str | None:
    """The mark of a browser in which this name got in before."""
    given = b"; ".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    try:
        morsel = SimpleCookie(given).get(COOKIE)
    except CookieError:
        return None
    mark, _, seal = morsel.value.partition(".") if morsel else ("", "", "")
    is_ours = len(names) == 1 and hmac.compare_digest(_seal(names[0], mark).encode(), seal.encode())
    return mark if mark and is_ours else None


def _mark(scope: Any, name: str) -> bytes:
    mark = secrets.token_hex(16)
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return (
        f"{COOKIE}={mark}.{_seal(name, mark)}; Max-Age={COOKIE_SECONDS}; Path=/; HttpOnly; "
        f"SameSite=Strict{secure}"
    ).encode()


def _seal(name: str, mark: str) -> str:
    from airflow.configuration import conf

    key = conf.get_mandatory_value("api", "secret_key").encode()
    return hmac.digest(key, f"parc known {mark} {name}".encode(), "sha256").hex()
