"""Hostile messages: the switch survives, relays nothing, reveals nothing, and calls continue."""

from __future__ import annotations

import secrets
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from parc import routing
from parc.host import programs
from parc.routing.switches import local
from parc.routing.switches.binrpc import Rpc, encode
from parc.settings import Settings
from support.phones import OTHER_PEER, SECONDS, STRANGER, Dialog, Phone, phone
from support.sites import CALLER, IN_HOURS, Sites, route_of, start_calls
from support.torture import PLANTED, mutations, torture

PER_SECOND = 200
SPARE_BYTES = 4 << 20
MESSAGES_PER_SECOND = 1_200
COUNT = 600


@contextmanager
def calls_going_on(settings: Settings, sites: Sites, folder: Path, seconds: int) -> Iterator[Phone]:
    """200 calls a second are placed meanwhile: every one is answered, no process of the switch dies, a
    bystander gets nothing, nobody's number is in the log, the memory comes back, and routing verifies."""
    local.set_clock(settings, IN_HOURS)
    sites.are_call_ids_forged = True
    process = psutil.Process(programs.kamailio(settings).pid or 0)
    pids = {each.pid for each in (process, *process.children(recursive=True))}
    log = programs.kamailio(settings).log_path
    before, length = used(settings), log.stat().st_size
    calls = start_calls(folder, local.calls_port(settings), [CALLER], PER_SECOND * seconds, PER_SECOND)
    with phone(settings, STRANGER) as bystander:
        yield bystander
        output, _ = calls.communicate(timeout=seconds + 90)
        assert calls.returncode == 0, output[-2000:]
        assert bystander.everything(0.2) == []
    assert {each.pid for each in (process, *process.children(recursive=True))} == pids
    assert PLANTED not in log.read_text(errors="replace") and log.stat().st_size == length
    deadline = time.monotonic() + 60
    while used(settings) > before + SPARE_BYTES:
        assert time.monotonic() < deadline, f"{used(settings) - before} bytes did not come back"
        time.sleep(0.5)
    assert route_of(settings).zone_code == "53" and routing.verify(settings).problems == []


def used(settings: Settings) -> int:
    return int(Rpc(local.socket(settings)).call("core.shmmem")["real_used"])


def test_hostile_messages(live: Settings, sites: Sites, tmp_path: Path) -> None:
    """From a peer and from a stranger, to both ports."""
    port = local.calls_port(live)
    with (
        calls_going_on(live, sites, tmp_path, 4) as bystander,
        phone(live, OTHER_PEER) as peer,
        phone(live, STRANGER) as stranger,
    ):
        messages = torture(bystander.address, f"127.0.0.1:{port}")
        assert len(messages) >= 72
        for data in messages.values():
            for to_port in (port, port + 1):
                peer.send(data, to_port)
                stranger.send(data, to_port)
                time.sleep(0.002)
        assert stranger.everything() == []
        peer.everything()


@pytest.mark.parametrize("count", [COUNT, pytest.param(30_000, marks=pytest.mark.soak)])
def test_mutated_messages(live: Settings, sites: Sites, tmp_path: Path, count: int) -> None:
    """Of those that torment, of good ones, and of requests within a call that is up, sealed Route and all."""
    seconds = 3 + count // MESSAGES_PER_SECOND
    seed = 1
    with calls_going_on(live, sites, tmp_path, seconds) as bystander, phone(live, OTHER_PEER) as peer:
        dialog = Dialog(peer, f"+{PLANTED}00001")
        dialog.begin()
        within = [
            dialog.request(method, f"sip:3900@{bystander.address}").encode()
            for method in ("INVITE", "ACK", "BYE", "INFO", "MESSAGE", "CANCEL", "REFER")
        ]
        others = torture(bystander.address, f"127.0.0.1:{local.calls_port(live)}")
        good = [Dialog(peer, f"+{PLANTED}00002").request(method).encode() for method in ("INVITE", "OPTIONS")]
        begun = time.monotonic()
        bases = [*within, *within, *others.values(), *good]
        for number, data in enumerate(mutations(bases, count, seed)):
            peer.send(data, local.calls_port(live) + (number % 8 == 0))
            if number % 50 == 0:
                peer.everything(0.0001)
                time.sleep(max(0.0, begun + number / MESSAGES_PER_SECOND - time.monotonic()))
    print(f"{count:,} mutated messages (seed {seed}) beside {PER_SECOND} calls a second: nothing happened")


@pytest.mark.parametrize("count", [COUNT, pytest.param(10_000, marks=pytest.mark.soak)])
def test_mutated_commands(live: Settings, sites: Sites, tmp_path: Path, count: int) -> None:
    """Arbitrary bytes on the switch's own socket, sent by its owner: the switch keeps working."""
    number = f"{PLANTED}00003"
    calls: list[tuple[str, list[str | int]]] = [
        ("htable.get", ["exc_a", number]),
        ("htable.get", ["ctl", "active"]),
        ("mtree.match", ["geo_a", number, 0]),
        ("mtree.summary", []),
        ("htable.stats", []),
        ("core.uptime", []),
        ("core.shmmem", ["m"]),
        ("dispatcher.list", []),
        ("no.such.method", [number, 1 << 40]),
    ]
    bases = [encode(7, method, *params) for method, params in calls]
    bases += [encode(7, method) for method in ("", "x" * 5_000)]
    bases += [b"\xa1\x00\x40\x01" + bytes([kind]) * 64 for kind in (0x03, 0x04, 0x83, 0xFF)]
    bases += [b'{"jsonrpc": "2.0", "method": null, "id": 1}', b"[" * 5_000]
    own_path = Path(local.socket(live)).with_name(f"c-{secrets.token_hex(3)}")
    with (
        calls_going_on(live, sites, tmp_path, 3 + count // 1_000),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own,
    ):
        own.bind(str(own_path))
        own.connect(local.socket(live))
        own.settimeout(SECONDS)
        for data in mutations(bases, count, 2):
            own.send(data)
            while select.select([own], [], [], 0.005)[0]:
                own.recv(65_535)
        own_path.unlink()
    print(f"{count:,} mutated commands beside {PER_SECOND} calls a second: nothing happened")


@pytest.mark.soak
def test_a_sender_cannot_exhaust_memory(live: Settings, sites: Sites, tmp_path: Path) -> None:
    """14,000 INVITEs of 60 kB, then 14,000 of 7.5 kB, as fast as they go, for whom nobody takes a call."""
    with calls_going_on(live, sites, tmp_path, 30), phone(live, OTHER_PEER) as peer:
        for size in (60_000, 7_500):
            for number in range(14_000):
                dialog = Dialog(peer, f"+{PLANTED}00004")
                peer.send(dialog.request("INVITE", "sip:nobody@127.0.0.1", body="x" * size))
                if number % 50 == 0:
                    peer.everything(0.0001)
