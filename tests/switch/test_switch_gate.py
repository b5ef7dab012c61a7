"""The switch's gate: it accepts calls from its peers, relays within calls that it has placed, and answers
nobody else."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from parc.errors import ConfigurationError
from parc.host import programs
from parc.routing.switches import local
from parc.routing.switches.binrpc import Rpc
from parc.routing.switches.probes import seal
from parc.settings import OwnSwitch, Settings
from support.phones import OTHER_PEER, SECONDS, STRANGER, Dialog, Phone, phone, status, values
from support.routing_world import go_live
from support.sites import CALLER, IN_HOURS, Sites, route_of, start_calls

METHODS = (
    "INVITE",
    "MESSAGE",
    "REFER",
    "BYE",
    "OPTIONS",
    "SUBSCRIBE",
    "NOTIFY",
    "INFO",
    "UPDATE",
    "ACK",
    "CANCEL",
)
FORGED = (
    "X-Parc-Version: forged",
    "X-Parc-Route: r:*:fixe:open",
    "X-PARC-ANYTHING: forged",
    "x-parc-slot : forged",
    "Remote-Party-ID: <sip:+33100000001@forged.invalid>;party=calling",
    "Diversion: <sip:+33100000002@forged.invalid>;reason=unconditional",
    "History-Info: <sip:+33100000003@forged.invalid>;index=1",
    "P-Asserted-Identity: <sip:+33299445566@forged.invalid>",
    "P-Preferred-Identity: <sip:+33100000004@forged.invalid>",
)


@pytest.fixture
def open_live(live: Settings) -> Settings:
    """The table of a quiet day is live, and the sites are open."""
    local.set_clock(live, IN_HOURS)
    return live


@pytest.fixture
def caller(open_live: Settings) -> Iterator[Phone]:
    """A peer's telephone."""
    with phone(open_live) as own:
        yield own


@pytest.fixture
def victim(open_live: Settings) -> Iterator[Phone]:
    """Someone who must receive nothing."""
    with phone(open_live, OTHER_PEER) as own:
        yield own
        assert own.everything(0.2) == []


def test_only_requests_within_a_call_are_relayed(open_live: Settings, caller: Phone, victim: Phone) -> None:
    """Every method, to both ports, with every kind of Route, with and without a To-tag."""
    port = local.calls_port(open_live)
    for to_port in (port, port + 1):
        own, away = f"<sip:127.0.0.1:{to_port};lr>", f"<sip:{victim.address};lr>"
        for method in METHODS:
            for routes in ([own], [own, away], [away], [f"{own}, {away}"], [], [own.replace(";lr", "")]):
                for to_tag in ("", "forged"):
                    dialog = Dialog(caller, to_tag=to_tag)
                    uri = f"sip:3900@{victim.address}"
                    if method == "INVITE" and not to_tag:
                        uri = f"sip:nobody@{victim.address}"  # a call, which goes to a site: see below
                    caller.send(dialog.request(method, uri, routes), to_port)
        accepted = [reply for reply in caller.everything() if status(reply) // 100 == 2]
        assert {values(reply, "CSeq")[0] for reply in accepted} <= {"1 OPTIONS"}
    assert victim.everything(0.2) == []


def test_an_unmatched_reply_is_not_relayed(open_live: Settings, caller: Phone, victim: Phone) -> None:
    for port in (local.calls_port(open_live), local.calls_port(open_live) + 1):
        for code in ("100 Trying", "200 OK", "302 Moved", "486 Busy Here"):
            caller.send(
                f"SIP/2.0 {code}\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1\r\n"
                f"Via: SIP/2.0/UDP {victim.address};branch=z9hG4bK2\r\nFrom: <sip:a@b>;tag=1\r\n"
                "To: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
                port,
            )
    assert victim.everything(0.3) == []


def test_an_active_call_survives_a_release_and_a_restart(
    open_live: Settings, sites: Sites, caller: Phone
) -> None:
    dialog = Dialog(caller)
    dialog.begin()
    [(site, invite)] = sites.requests("INVITE", dialog.call_id)
    until(lambda: sites.requests("ACK", dialog.call_id))
    steps = (
        lambda: None,
        lambda: go_live(open_live),
        lambda: (local.stop(open_live), local.start(open_live)),
    )
    for number, step in enumerate(steps):
        step()
        for method in ("INVITE", "UPDATE", "INFO", "REFER"):
            assert status(dialog.ask(method)) == 200
            assert [each for each, _ in sites.requests(method, dialog.call_id)][-1] == site
            if method == "INVITE":
                caller.send(dialog.request("ACK"))
        sites.sockets[site].sendto(from_site(invite, site, "UPDATE", number), caller.switch)
        received = caller.receive() or ""
        assert received.startswith("UPDATE sip:caller@") and dialog.call_id in received
    assert status(dialog.ask("BYE")) == 200
    assert [each for each, _ in sites.requests("BYE", dialog.call_id)] == [site]


def from_site(invite: str, site: str, method: str, sequence: int) -> bytes:
    """A request of the site that got this INVITE, by the route that it has learnt from it."""
    uri = values(invite, "Contact")[0].strip("<>")
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{secrets.token_hex(6)};rport",
        f"From: {values(invite, 'To')[0]};tag={site}",
        f"To: {values(invite, 'From')[0]}",
        f"Call-ID: {values(invite, 'Call-ID')[0]}",
        f"CSeq: {100 + sequence} {method}",
        "Max-Forwards: 70",
        *(f"Route: {route}" for route in values(invite, "Record-Route")),
    ]
    return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()


def test_a_call_cancelled_before_the_answer(open_live: Settings, sites: Sites, caller: Phone) -> None:
    """The sites say nothing; CANCEL ends the call, and the ACK of its end goes no further."""
    sites.silent.update(sites.addresses)
    dialog = Dialog(caller)
    invite = dialog.request("INVITE")
    caller.send(invite)
    assert status(caller.receive()) == 100
    via = values(invite, "Via")[0]
    cancel = dialog.request("CANCEL").replace(values(dialog.request("CANCEL"), "Via")[0], via)
    lines = [f"Via: {via}" if line.startswith("Via:") else line for line in cancel.split("\r\n")]
    caller.send("\r\n".join(lines))
    codes = {status(message) for message in caller.everything(2.5)}
    assert codes == {200, 487}


def test_only_the_two_ends_of_a_call_control_it(
    open_live: Settings, sites: Sites, caller: Phone, victim: Phone
) -> None:
    """Its sealed Record-Route is invalid in another call, altered, expired or used by a stranger; and a
    request within the call cannot be sent elsewhere."""
    dialog = Dialog(caller)
    dialog.begin()
    [route] = dialog.routes
    ends, found = route.split("parc=", 1)[1].split(">")[0].split("-")
    assert found == sealed(open_live, ends, dialog.call_id, dialog.tag)

    def reply_status(routes: list[str], **given: object) -> int:
        return status(dialog.ask("MESSAGE", routes=routes, **given))

    other = Dialog(caller)
    other.to_tag = "forged"
    assert status(other.ask("MESSAGE", routes=[route])) == 481
    assert reply_status([route.replace(f"{ends}-", f"{ends[:-1]}{'0' if ends[-1] != '0' else '1'}-")]) == 481
    until_text, first, second = bytes.fromhex(ends).decode().split("|")
    for text, expected in (
        (f"{until_text}|{first}|{second}", 200),
        (f"{int(time.time()) - 1}|{first}|{second}", 481),
    ):
        made = text.encode().hex()
        mark = f"{made}-{sealed(open_live, made, dialog.call_id, dialog.tag)}"
        assert reply_status([f"<sip:127.0.0.1:{local.calls_port(open_live)};lr;parc={mark}>"]) == expected
    assert reply_status([route, f"<sip:{victim.address};lr>"]) == 403
    assert reply_status([f"{route}, <sip:{victim.address};lr>"]) == 403
    [(site, _)] = sites.requests("INVITE", dialog.call_id)
    at_site, away = f"<sip:127.0.0.1:{sites.addresses[site]};lr>", f"<sip:{victim.address};lr>"
    assert reply_status([route, at_site]) == 200
    assert reply_status([route, ", ".join([at_site] * 120), away]) == 403
    assert reply_status([route, "<what is this", away]) in (400, 403)
    assert reply_status([route, at_site, "<sip:>", away]) in (400, 403)
    assert reply_status([f"<sip:{victim.address};lr>", route]) == 481
    assert reply_status([route.replace("127.0.0.1", victim.address.split(":")[0])]) == 481
    assert reply_status([route], uri=f"sip:agent@{victim.address}") == 200  # to the site, whatever it says
    with phone(open_live, STRANGER) as stranger:
        stranger.send(dialog.request("BYE"))
        assert stranger.everything(0.3) == []
    assert sites.requests("BYE", dialog.call_id) == []
    assert len(sites.requests("MESSAGE", dialog.call_id)) == 3


def sealed(settings: Settings, ends: str, call_id: str, tag: str) -> str:
    return seal(local.secret(settings), f"call|{ends}|{len(call_id)}|{call_id}|{tag}")


def test_only_peers_may_place_calls(open_live: Settings, sites: Sites, caller: Phone) -> None:
    with phone(open_live, STRANGER) as stranger:
        for method in METHODS:
            stranger.send(Dialog(stranger).request(method))
            stranger.send(Dialog(stranger, to_tag="x").request(method))
        stranger.send(b"\0" * 100)
        assert stranger.everything() == []
    assert not sites.calls
    with phone(open_live, OTHER_PEER) as other:
        for own in (caller, other):
            Dialog(own).begin()
    assert len(sites.calls) == 2
    assert status(Dialog(caller).ask("OPTIONS")) == 200
    assert status(Dialog(caller).ask("MESSAGE")) == 405


@pytest.mark.parametrize("given", ["the operator", "192.0.2.0/33", "192.0.2.7/28"])
def test_invalid_peer_networks_are_reported(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARC_SWITCH_PEERS", given)
    with pytest.raises(ConfigurationError, match=r"PARC_SWITCH_PEERS: .*192\.0\.2\.7"):
        local.peers(OwnSwitch.from_env())


def test_a_secret_that_is_short_is_reported(running: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("short", 'long enough, but with a " in it'):
        monkeypatch.setenv("PARC_SWITCH_SECRET", given)
        with pytest.raises(ConfigurationError, match="PARC_SWITCH_SECRET must have 16"):
            local.secret(running)


def test_forged_headers_reach_no_site(open_live: Settings, sites: Sites, caller: Phone) -> None:
    dialog = Dialog(caller)
    dialog.begin([*FORGED, "Route: <sip:forged.invalid;lr>", "Subject: kept"])
    assert status(dialog.ask("UPDATE", headers=FORGED)) == 200
    for method in ("INVITE", "UPDATE"):
        [(_, message)] = sites.requests(method, dialog.call_id)
        assert "forged" not in message and "+331000000" not in message, message
        assert "Route:" not in message.replace("Record-Route:", "").replace("X-Parc-Route:", "")
    [(_, invite)] = sites.requests("INVITE", dialog.call_id)
    assert values(invite, "Subject") == ["kept"]
    assert len(values(invite, "X-Parc-Version")) == len(values(invite, "X-Parc-Route")) == 1


def test_only_peers_may_assert_the_caller(open_live: Settings, sites: Sites, caller: Phone) -> None:
    go_live(open_live)
    asserted = [f"P-Asserted-Identity: <sip:{CALLER}@operator.invalid>"]
    with phone(open_live, STRANGER) as stranger:
        stranger.send(Dialog(stranger, "anonymous").request("INVITE", headers=asserted))
        assert stranger.everything(0.3) == []
    Dialog(caller, "anonymous").begin(asserted)
    assert {call.route for call in sites.calls.values()} == {"r:53:internet:open"}


def test_the_probe_port_answers_only_the_platform(open_live: Settings, caller: Phone) -> None:
    """Not another user of this host, not a question that somebody has altered."""
    port = local.calls_port(open_live) + 1
    assert route_of(open_live, CALLER).zone_code == "53"
    dialog = Dialog(caller)
    for method in METHODS:
        caller.send(dialog.request(method), port)
    question = f"ask|{dialog.call_id}|3900|{dialog.number}"
    secret, instant = local.secret(open_live), str(int(IN_HOURS.timestamp()))
    for headers in (
        ["X-Parc-Seal: "],
        ["X-Parc-Seal: " + "0" * 64],
        ["X-Parc-Seal: " + seal("0" * 40, question)],
        ["X-Parc-Slot: a", "X-Parc-Seal: " + seal(secret, question)],
        [f"X-Parc-Instant: {instant}", "X-Parc-Seal: " + seal(secret, question)],
        [f"P-Asserted-Identity: <sip:{CALLER}@x>", "X-Parc-Seal: " + seal(secret, question)],
        ["X-Parc-Seal: " + seal(secret, question.replace("3900", "3901"))],
        ["X-Parc-Seal: " + seal(secret, question.replace(dialog.number, "+33240445566"))],
        ["X-Parc-Seal: " + seal(secret, question.replace(dialog.call_id, "another"))],
    ):
        caller.send(dialog.request("INVITE", headers=headers), port)
    assert caller.everything() == []
    caller.send(dialog.request("INVITE", headers=["X-Parc-Seal: " + seal(secret, question)]), port)
    assert status(caller.final()) == 302


def test_a_flood_of_large_messages_takes_no_memory(open_live: Settings, sites: Sites, caller: Phone) -> None:
    before = memory(open_live)
    for _ in range(500):
        caller.send(Dialog(caller).request("INVITE", body="x" * 60_000))
        caller.send(Dialog(caller).request("INVITE", headers=["Subject: " + "x" * 9_000]))
    assert caller.everything() == []
    assert memory(open_live) - before < 1 << 20
    Dialog(caller).begin(["Subject: " + "x" * 4_000])
    assert len(sites.calls) == 1


def memory(settings: Settings) -> int:
    """Shared memory that the switch uses, in bytes."""
    return int(Rpc(local.socket(settings)).call("core.shmmem")["real_used"])


def test_a_flooding_peer_does_not_block_another(open_live: Settings, sites: Sites, tmp_path: Path) -> None:
    """The one calls as fast as it can for three seconds, the other 200 times a second: of those every call is
    answered, of the first no more than its share."""
    seconds = 3
    with phone(open_live, OTHER_PEER) as greedy:
        calls = start_calls(tmp_path, local.calls_port(open_live), [CALLER], 200 * seconds, 200)
        end, sent = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            greedy.send(Dialog(greedy, "+33199999999").request("INVITE"))
            sent += 1
            if sent % 20 == 0:
                time.sleep(0.005)
        output, _ = calls.communicate(timeout=60)
        assert calls.returncode == 0, output[-2000:]
        refused = [reply for reply in greedy.everything() if status(reply) == 503]
    taken = len(sites.calls) - 200 * seconds
    assert sent > 3 * int(open_live.own_switch.peer_calls) and refused
    assert taken <= int(open_live.own_switch.peer_calls) * (seconds + 2), (sent, taken)


def test_low_memory_keeps_active_calls_and_refuses_new_ones(open_live: Settings, caller: Phone) -> None:
    """A call is active, and the switch restarts with hardly more memory than its tables need."""
    dialog = Dialog(caller)
    dialog.begin()
    local.stop(open_live)  # what earlier calls still hold is given back
    local.start(open_live)
    free = int(Rpc(local.socket(open_live)).call("core.shmmem", "m")["free"])
    local.stop(open_live)
    own_switch = replace(open_live.own_switch, memory_mb=str(256 - free + 20))
    local.start(replace(open_live, own_switch=own_switch))
    time.sleep(2)  # it looks once in a second
    assert status(Dialog(caller).ask("INVITE")) == 503
    assert status(dialog.ask("BYE")) == 200
    local.stop(open_live)
    local.start(open_live)
    Dialog(caller).begin()


def test_the_log_names_no_caller_and_stays_short(open_live: Settings, caller: Phone) -> None:
    """Malformed messages, each with a number in it."""
    log = programs.kamailio(open_live).log_path
    assert log.stat().st_mode & 0o777 == 0o600
    size = log.stat().st_size
    number = "33612345678"
    good = Dialog(caller, number).request("INVITE", headers=[f"P-Asserted-Identity: <sip:{number}@x>"])
    for old, new in (
        ("SIP/2.0\r\n", f"SIP/{number}\r\n"),
        (f"From: <sip:{number}", f'From: "{number} <sip:{number}'),
        ("To: <", f"To: {number}<<"),
        ("Via: SIP", f"Via: {number}"),
        ("CSeq: 1", f"CSeq: {number}"),
        ("Contact: <", f"Contact: {number}<<"),
        ("P-Asserted-Identity: <", f'P-Asserted-Identity: "{number}'),
        ("sip:3900@", f"sip:{number}:{number}:{number}@"),
        ("Content-Length: 0", f"Content-Length: {number}"),
        ("Max-Forwards: 70", f"Max-Forwards: {number}"),
        ("Call-ID:", f"Call-ID{number}"),
        ("\r\n\r\n", f"\r\nRoute: <{number}"),
    ):
        assert old in good, old
        caller.send(good.replace(old, new, 1))
    caller.everything()
    assert route_of(open_live).zone_code == "53"
    assert number not in log.read_text() and log.stat().st_size == size


def test_a_large_log_keeps_only_lines_about_crashes(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, landing=str(tmp_path), switch="kamailio:")
    log = programs.kamailio(settings).log_path
    log.parent.mkdir()
    death = " 0(7) ALERT: <core> [main.c:777]: handle_sigs(): child process 9 exited by a signal 11\n"
    log.write_text(death + " 9(16) ERROR: <core> parse_via(): <0612345678>\n" * 100)
    assert local.shorten_log(settings, local.LOG_BYTES) == 0
    freed = local.shorten_log(settings, dry_run=True)
    assert freed == local.shorten_log(settings) == 100 * 47 and log.read_text() == death
    assert local.shorten_log(settings) == 0


def test_the_switch_leaves_no_file_that_others_can_read(running: Settings) -> None:
    folder = programs.kamailio(running).log_path.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in folder.iterdir() if path.is_socket() or path.is_fifo()} == {"rpc.sock"}
    assert (folder / "kamailio.cfg").stat().st_mode & 0o777 == 0o600
    secret = local.secret(running)
    process = psutil.Process(programs.kamailio(running).pid or 0)
    for each in (process, *process.children(recursive=True)):
        assert secret not in " ".join(each.cmdline()) + str(each.environ())


def until(condition: object) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
