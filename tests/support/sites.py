"""Sites that answer calls, and callers: the two ends of a switch under test. All on loopback."""

from __future__ import annotations

import re
import selectors
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from parc.routing.switches import Answer, Question, local, open_switch
from parc.routing.switches.binrpc import Rpc
from parc.settings import Settings

SCENARIO = Path(__file__).with_name("caller.xml")
SITES = [
    "LYON",
    "LYON_2",
    "NANTES",
    "NANTES_2",
    "RENNES",
    "RENNES_2",
    "ST_DENIS_RE",
    "ST_DENIS_RE_2",
    "TUNIS",
]
CALLER = "+33299445566"
IN_HOURS = datetime(2012, 4, 25, 10, tzinfo=UTC)
AT_NIGHT = datetime(2012, 4, 25, 22, tzinfo=UTC)
HEADER = re.compile(r"^([^:\s]+)\s*:\s*(.*)$", re.MULTILINE)
KEPT = 10_000
SWITCH_WAITS_SECONDS = 1.0
"""How long the switch waits for a site (`fr_timer` in kamailio.cfg)."""
SHORT = {"v": "via", "f": "from", "t": "to", "i": "call-id"}
COPIED = ("via", "from", "call-id", "cseq", "record-route")


@dataclass(frozen=True)
class Call:
    """A call that a site answered: the site, and what the switch said about the route."""

    site_code: str
    version: str
    route: str


@dataclass
class Sites:
    """Every site's telephone, in one thread: answers OPTIONS and calls, and remembers the calls."""

    addresses: dict[str, int] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    are_call_ids_forged: bool = False
    longest_pause_seconds: float = 0.0
    answered_twice: set[str] = field(default_factory=set)
    sockets: dict[str, socket.socket] = field(default_factory=dict)
    received: list[tuple[str, str]] = field(default_factory=list)

    def requests(self, method: str, call_id: str) -> list[tuple[str, str]]:
        """(site, message) of every request with that method and Call-ID which a site got."""
        return [
            (site_code, message)
            for site_code, message in list(self.received)
            if message.startswith(f"{method} ") and f"\nCall-ID: {call_id}\r" in message
        ]

    @property
    def were_starved(self) -> bool:
        """Whether the machine kept the sites from answering for as long as the switch waits for them."""
        return self.longest_pause_seconds > SWITCH_WAITS_SECONDS

    def forget(self) -> None:
        """Forget every call, and how the sites were kept from answering."""
        self.calls.clear()
        self.answered_twice.clear()
        self.longest_pause_seconds = 0.0

    def count(self) -> Counter[str]:
        """Calls by site."""
        return Counter(call.site_code for call in self.calls.values())

    def answer(self, site_code: str, message: str) -> str | None:
        """The reply to one message; None if there is none."""
        method = message.split(" ", 1)[0]
        if method != "OPTIONS" and len(self.received) < KEPT:
            self.received.append((site_code, message))
        if site_code in self.silent or method in ("ACK", "SIP/2.0"):
            return None
        headers = [
            (SHORT.get(name.lower(), name.lower()), value.strip()) for name, value in HEADER.findall(message)
        ]
        first = dict(reversed(headers))
        status = "486 Busy Here" if method == "INVITE" and site_code in self.busy else "200 OK"
        if method == "INVITE" and status == "200 OK":
            known = self.calls.get(first["call-id"])
            if known and known.site_code != site_code and not self.are_call_ids_forged:
                self.answered_twice.add(first["call-id"])
            self.calls[first["call-id"]] = Call(
                site_code, first.get("x-parc-version", ""), first.get("x-parc-route", "")
            )
        lines = [f"SIP/2.0 {status}", *(f"{name}: {value}" for name, value in headers if name in COPIED)]
        tagged = first["to"] if ";tag=" in first["to"] else f"{first['to']};tag={site_code}"
        lines += [f"To: {tagged}", f"Contact: <sip:{site_code}@127.0.0.1:{self.addresses[site_code]}>"]
        return "\r\n".join([*lines, "Content-Length: 0", "", ""])


@contextmanager
def answering(ports: Mapping[str, int]) -> Iterator[Sites]:
    """Sites that answer at these ports (0: any free one), until the end."""
    sites, done = Sites(), threading.Event()
    with selectors.DefaultSelector() as selector:
        for site_code, port in ports.items():
            own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            own.bind(("127.0.0.1", port))
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sites.addresses[site_code] = own.getsockname()[1]
            sites.sockets[site_code] = own
            selector.register(own, selectors.EVENT_READ, site_code)

        def serve() -> None:
            seen = time.monotonic()
            while not done.is_set():
                before, seen = seen, time.monotonic()
                sites.longest_pause_seconds = max(sites.longest_pause_seconds, seen - before)
                for key, _ in selector.select(0.05):
                    own = key.fileobj
                    assert isinstance(own, socket.socket)
                    message, sender = own.recvfrom(65_535)
                    reply = sites.answer(key.data, message.decode(errors="replace"))
                    if reply:
                        own.sendto(reply.encode(), sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sites
        finally:
            done.set()
            thread.join()
            assert sites.were_starved or not sites.answered_twice, "one call was answered by two sites"
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]


def start_calls(
    folder: Path, port: int, callers: Sequence[str], count: int, per_second: int, dialled: str = "3900"
) -> subprocess.Popen[str]:
    """SIPp placing `count` calls from `callers` in turn; exits with 0 when every one was answered."""
    numbers = folder / "callers.csv"
    numbers.write_text("SEQUENTIAL\n" + "".join(f"{number};\n" for number in callers))
    return subprocess.Popen(
        [
            "sipp",
            f"127.0.0.1:{port}",
            "-sf",
            str(SCENARIO),
            "-inf",
            str(numbers),
            "-s",
            dialled,
            "-i",
            "127.0.0.1",
            "-m",
            str(count),
            "-r",
            str(per_second),
            "-l",
            "400",
            "-recv_timeout",
            "40000",
            "-nostdin",
            "-timeout",
            f"{count // per_second + 60}s",
            "-timeout_error",
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def place_calls(folder: Path, port: int, callers: Sequence[str], count: int, per_second: int = 50) -> None:
    """Place calls and wait for their end; every one must succeed."""
    process = start_calls(folder, port, callers, count, per_second)
    output, _ = process.communicate(timeout=count / per_second + 90)
    assert process.returncode == 0, output[-2000:]


def route_of(settings: Settings, caller: str = CALLER, at: datetime = IN_HOURS, **question: str) -> Answer:
    """Where the switch says that a call would go."""
    answer = open_switch(settings).ask(Question(caller, "3900", at, **question))
    assert answer is not None
    return answer


def empty(running: Settings) -> None:
    """Forget every release that the switch and its database hold."""
    with psycopg.connect(local.database(running), autocommit=True) as database:
        for slot in ("a", "b"):
            tables = ("release", "services", "prefixes", "exceptions", "windows", "routes", "sites")
            database.execute(f"truncate {', '.join(f'slot_{slot}.{table}' for table in tables)}")
        database.execute("update switch.control set active = null, previous = null, fence = 0")
        database.execute("truncate switch.drains, switch.kept_table cascade")
    rpc = Rpc(local.socket(running))
    for name in ("ctl", *(f"{table}_{slot}" for table in ("rt", "win", "exc") for slot in ("a", "b"))):
        rpc.call("htable.reload", name)
    rpc.call("mtree.reload", "geo")
    rpc.call("dispatcher.reload")
