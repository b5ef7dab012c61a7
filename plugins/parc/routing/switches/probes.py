"""Questions to the switch over SIP: how would it route a call? No call is placed."""

from __future__ import annotations

import hashlib
import secrets
import socket
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.routing.switches import Answer, Question

ANSWER_SECONDS = 2.0
TRIES = 3
ANONYMOUS = "anonymous"


def ask(address: tuple[str, int], secret: str, questions: Iterable[Question]) -> list[Answer]:
    """The switch's answers, in the order of the questions. Each question is sealed with a secret that the
    switch shares; it answers no others.

    Raises ConfigurationError when the switch does not answer, or not as the platform's configuration does.
    """
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as own:
        own.settimeout(ANSWER_SECONDS)
        own.connect(address)
        return [_ask(own, secret, question) for question in questions]


def seal(secret: str, text: str) -> str:
    """The seal that `route[SEAL]` of the switch makes too: SHA-256 of secret and text, in hexadecimal."""
    inner = hashlib.sha256((secret + text).encode()).hexdigest()
    return hashlib.sha256((secret + inner).encode()).hexdigest()


def _ask(own: socket.socket, secret: str, question: Question) -> Answer:
    identity = secrets.token_hex(12)
    request = _request(own.getsockname(), own.getpeername(), secret, question, identity)
    for _ in range(TRIES):
        try:
            own.send(request)
            while True:
                headers = _headers(own.recv(65_535).decode())
                if headers.get("call-id") == [identity]:  # otherwise a late answer to a repeated question
                    return _answer(headers)
        except TimeoutError:
            continue
        except OSError as error:
            raise _silent(own, str(error)) from None
    raise _silent(own, f"no answer to {TRIES} questions")


def _silent(own: socket.socket, why: str) -> ConfigurationError:
    host, port = own.getpeername()
    return ConfigurationError(
        f"the switch does not answer questions at {host}:{port} ({why})",
        steps=(
            Step("see whether it is running", "parc status"),
            Step("check that it has the same PARC_SWITCH_SECRET"),
        ),
    )


def _request(
    here: tuple[str, int], there: tuple[str, int], secret: str, question: Question, identity: str
) -> bytes:
    to = f"sip:{question.dialled_number}@{there[0]}:{there[1]}"
    caller = f"sip:{question.caller}@{ANONYMOUS}.invalid"
    lines = [
        f"INVITE {to} SIP/2.0",
        f"Via: SIP/2.0/UDP {here[0]}:{here[1]};branch=z9hG4bK{identity}",
        f"From: <{caller}>;tag={identity[:8]}",
        f"To: <{to}>",
        f"Call-ID: {identity}",
        "CSeq: 1 INVITE",
        "Max-Forwards: 8",
        f"Contact: <sip:parc@{here[0]}:{here[1]}>",
    ]
    sealed = f"ask|{identity}|{question.dialled_number}|{question.caller}"
    if question.slot:
        lines.append(f"X-Parc-Slot: {question.slot}")
        sealed += f"|slot {question.slot}"
    if question.at:
        instant = int(question.at.timestamp())
        lines.append(f"X-Parc-Instant: {instant}")
        sealed += f"|instant {instant}"
    if question.asserted:
        asserted = f"sip:{question.asserted}@{there[0]}"
        lines.append(f"P-Asserted-Identity: <{asserted}>")
        sealed += f"|asserted {asserted}"
    lines.append(f"X-Parc-Seal: {seal(secret, sealed)}")
    return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()


def _headers(message: str) -> dict[str, list[str]]:
    """Header values by lower-case name."""
    found: dict[str, list[str]] = {}
    for line in message.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def _answer(headers: dict[str, list[str]]) -> Answer:
    try:
        fields = {
            name: headers[f"x-parc-{name}"][0]
            for name in (
                "slot",
                "version",
                "instant",
                "market",
                "zone",
                "by",
                "band",
                "where",
                "site",
            )
        }
    except KeyError as error:
        raise ConfigurationError(
            f"the switch's answer lacks {error.args[0]}: is deploy/kamailio/kamailio.cfg its configuration?"
        ) from None
    sites = []
    for line in headers.get("x-parc-sites", []):
        priority, _, entries = line.partition(" ")
        for entry in entries.rstrip(";").split(";"):
            site_code, _, weight = entry.partition("=")
            sites.append((int(priority), site_code, int(weight)))
    return Answer(
        slot=fields["slot"],
        version=fields["version"],
        at=datetime.fromtimestamp(int(fields["instant"]), UTC),
        market=fields["market"],
        zone_code=fields["zone"],
        by=fields["by"],
        band=fields["band"],
        where=fields["where"],
        sites=tuple(sites),
        site_code=fields["site"],
        address=headers["contact"][0].strip("<>"),
    )
