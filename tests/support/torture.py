"""Messages that torture a SIP parser, like those of RFC 4475 and more, and mutations of them.

Each names a victim, to whom nothing may be relayed, and a number of PLANTED's series, which no log may show.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

PLANTED = "336000"
"""How every number of a caller begins here."""

TOKENS = (
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\0",
    b"%00",
    b'"',
    b"<",
    b">",
    b";lr",
    b";tag=x",
    b",",
    b":",
    b";",
    b"=",
    b"=?",
    b" ",
    b"\t",
    b"-1",
    b"0",
    b"4294967296",
    b"99999999999999999999",
    b"\xff\xfe",
    b"\xc3\xa9",
    b"()",
    b"\\",
    b"%",
    b"%ff",
    b"[::1]",
    b"sip:",
    b"sips:",
    b"tel:",
    b"*",
    b"z9hG4bK",
    b"Route: ",
    b"v: ",
    b"\r\n ",
)


def message(
    start: str,
    away: str,
    *,
    drop: Sequence[str] = (),
    change: Mapping[str, str] | None = None,
    more: Sequence[str] = (),
    body: str = "",
    number: str = "01",
) -> str:
    """A whole message from `away`, without some headers, with others changed or added at the end."""
    method = "INVITE" if start.startswith("SIP/2.0") else start.split(" ", 1)[0]
    headers = {
        "Via": f"SIP/2.0/UDP {away};branch=z9hG4bKtorture{number}",
        "Max-Forwards": "70",
        "From": f"<sip:+{PLANTED}000{number}@{away}>;tag=torture{number}",
        "To": "<sip:3900@127.0.0.1>",
        "Call-ID": f"torture{number}@{away}",
        "CSeq": f"1 {method}",
        "Contact": f"<sip:+{PLANTED}001{number}@{away}>",
        "Content-Length": str(len(body.encode())),
    } | dict(change or {})
    lines = [f"{name}: {value}" for name, value in headers.items() if name not in drop]
    return "\r\n".join([start, *lines, *more, "", body])


def torture(away: str, here: str) -> dict[str, bytes]:
    """Messages by their kind; `away` is the victim's host:port, `here` the switch's."""
    host, port = away.split(":")
    invite = f"INVITE sip:3900@{here} SIP/2.0"
    options = f"OPTIONS sip:3900@{away} SIP/2.0"
    bye = f"BYE sip:+{PLANTED}00299@{away} SIP/2.0"
    reply = "SIP/2.0 200 OK"
    two_vias = {"Via": f"SIP/2.0/UDP {here};branch=z9hG4bKx\r\nVia: SIP/2.0/UDP {away};branch=z9hG4bKy"}
    pai = f'P-Asserted-Identity: "{PLANTED}00398 <sip:+{PLANTED}00398@{away}'

    def of(start: str, **given: object) -> str:
        return message(start, away, **given)  # type: ignore[arg-type]

    kinds: dict[str, str | bytes] = {
        # What is right, and hard to read
        "folded headers and odd blanks": of(
            invite, change={"To": f"\r\n <sip:3900@{here}>\r\n\t;  x = y", "Max-Forwards": " 0068 "}
        ),
        "all characters of a token": of(f"-.!%*_+`'~09azAZ sip:3900@{away} SIP/2.0"),
        "all characters of a user": of(
            f"OPTIONS sip:-_.!~*'()&=+$,;?/09azAZ%41:&=+$,-_.!~*'()@{away} SIP/2.0"
        ),
        "an escaped NUL in a user": of(f"INVITE sip:39%00@{away} SIP/2.0"),
        "an escaped method": of(f"RE%47IST%45R sip:{away} SIP/2.0"),
        "a user with semicolons": of(f"OPTIONS sip:user;par=u%40{host}@{away} SIP/2.0"),
        "no blank between name and address": of(
            invite, change={"From": f"caller<sip:+{PLANTED}00401@{away}>;tag=1"}
        ),
        "quotes and backslashes in a name": of(
            invite, change={"From": f'"Le \\"Grand\\\\Jean\\"" <sip:+{PLANTED}00402@{away}>;tag=1'}
        ),
        "very long headers": of(invite, more=[f"X-Long-{index}: " + "v" * 400 for index in range(12)]),
        "octets after the end": of(invite, body="", change={"Content-Length": "0"}) + of(bye),
        "many transports": of(
            options,
            change={
                "Via": ", ".join(
                    f"SIP/2.0/{each} {away};branch=z9hG4bK{each}"
                    for each in ("UDP", "TCP", "TLS", "SCTP", "UNKNOWN")
                )
            },
        ),
        "several kinds of body": of(
            f"MESSAGE sip:3900@{here} SIP/2.0",
            more=["Content-Type: multipart/mixed;boundary=b"],
            body="--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n"
            "Content-Type: application/octet-stream\r\n\r\n\0\x01\r\n--b--",
        ),
        "a reason in another script": of(
            "SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e", change=two_vias
        ),
        "no reason": of("SIP/2.0 100 ", change=two_vias),
        "short names": f"{invite}\r\nv: SIP/2.0/UDP {away};branch=z9hG4bKshort\r\n"
        f"f: <sip:+{PLANTED}00403@{away}>;tag=1\r\n"
        f"t: <sip:3900@{here}>\r\ni: short\r\nCSeq: 1 INVITE\r\nm: <sip:a@{away}>\r\nl: 0\r\n\r\n",
        "names in mixed case": of(
            invite, drop=["Max-Forwards"], more=["mAX-fORWARDS: 5", "x-PARC-vERSION: forged"]
        ),
        "lists in one header": of(options, more=[f"Route: <sip:{here};lr>, <sip:{away};lr>,<sip:a@{away}>"]),
        "an address of version 6": of(
            invite,
            change={
                "Via": "SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bK6",
                "Contact": "<sip:a@[2001:db8::9]>",
            },
        ),
        "a telephone URI": of("INVITE tel:+3900;phone-context=+33 SIP/2.0"),
        "a secure URI": of(f"INVITE sips:3900@{away} SIP/2.0"),
        # What is wrong
        "commas for nothing": of(
            invite,
            change={
                "Via": f"SIP/2.0/UDP {away};branch=z9hG4bKc,;,,",
                "Contact": f'"a" <sip:a@{away}> ;;,;,,',
            },
        ),
        "a body longer than declared": of(invite, change={"Content-Length": "3"}, body="v=0\r\no=-\r\n"),
        "a body shorter than declared": of(invite, change={"Content-Length": "9999"}),
        "a negative length": of(invite, change={"Content-Length": "-999"}),
        "two lengths": of(invite, more=["Content-Length: 5"]),
        "numbers too great": of(
            invite,
            change={"CSeq": "36893488147419103233 INVITE", "Max-Forwards": "300"},
            more=["Expires: 10000000000000000000000000000000"],
        ),
        "a reply with numbers too great": of(
            "SIP/2.0 503 No",
            change={**two_vias, "CSeq": "18446744073709551616 OPTIONS"},
            more=["Retry-After: 18446744073709551617"],
        ),
        "a quote that does not end": of(invite, change={"To": f'"Madame X <sip:+{PLANTED}00404@{here}>'}),
        "a request URI in brackets": of(f"INVITE <sip:3900@{here}> SIP/2.0"),
        "a blank in the request URI": of(f"INVITE sip:3900@{here}; lr SIP/2.0"),
        "blanks in the request line": of(f"INVITE  sip:3900@{here}  SIP/2.0"),
        "a blank after the request line": of(f"INVITE sip:3900@{here} SIP/2.0 "),
        "headers within the request URI": of(f"INVITE sip:3900@{here}?Route=%3Csip:{away}%3E SIP/2.0"),
        "a date of no time zone": of(invite, more=["Date: Fri, 01 Jan 2010 16:00:00 EST"]),
        "parameters without brackets": of(invite, change={"Contact": f"sip:a@{away}?Route=x;lr;x=y"}),
        "blanks within an address": of(invite, change={"To": f"<sip:3900 @ {here} >"}),
        "a name that is no token": of(
            invite, change={"From": f"Dupont, Jean <sip:+{PLANTED}00405@{away}>;tag=1"}
        ),
        "another version": of(
            f"INVITE sip:3900@{here} SIP/7.0", change={"Via": f"SIP/7.0/UDP {away};branch=z9hG4bK7"}
        ),
        "two methods": of(options, change={"CSeq": "8 INVITE"}),
        "an unknown method, and another": of(f"DANCE sip:3900@{away} SIP/2.0", change={"CSeq": "8 INVITE"}),
        "a status too great": of("SIP/2.0 4294967301 no", change=two_vias),
        "no transaction": of(invite, change={"Via": f"SIP/2.0/UDP {away};branch=z9hG4bK"}),
        "an earlier protocol, without tag and branch": of(
            invite, change={"Via": f"SIP/2.0/UDP {away}", "From": f"<sip:+{PLANTED}00406@{away}>"}
        ),
        "most headers missing": of(invite, drop=["From", "To", "Call-ID", "CSeq"]),
        "no Via": of(invite, drop=["Via"]),
        "an unknown scheme": of(f"INVITE far-off-scheme:of:nobody:{PLANTED}00407 SIP/2.0"),
        "a scheme of others": of(f"INVITE gopher://{host}:3002 SIP/2.0"),
        "unknown schemes in headers": of(
            invite,
            change={"To": "urn:x:12", "From": "<http://a.invalid>;tag=1", "Contact": "<data:,x>"},
        ),
        "extensions that nobody has": of(
            invite, more=["Require: no-such-extension", "Proxy-Require: no-such-service"]
        ),
        "a body of no known kind": of(invite, more=["Content-Type: application/x-none"], body="<x>\0</x>"),
        "an unknown scheme of proof": of(
            invite, more=["Authorization: Secret-Handshake left=x", "Proxy-Authorization: Digest x"]
        ),
        "one header twice": of(
            invite,
            more=[
                "CSeq: 2 INVITE",
                f"To: <sip:b@{away}>;tag=2",
                f"From: <sip:c@{away}>;tag=3",
                "Call-ID: other",
                "Max-Forwards: 5",
            ],
        ),
        "a reply to a broadcast": of(
            reply,
            change={
                "Via": f"SIP/2.0/UDP {here};branch=z9hG4bKb\r\n"
                f"Via: SIP/2.0/UDP 127.255.255.255;branch=z9hG4bKc\r\nVia: SIP/2.0/UDP {away}"
            },
        ),
        "no hops left": of(invite, change={"Max-Forwards": "0"}),
        "hops that are no number": of(invite, change={"Max-Forwards": "many"}),
        "tags twice": of(
            bye, change={"To": f"<sip:3900@{here}>;tag=1;tag=2", "From": f"<sip:a@{away}>;tag=3;tag=4"}
        ),
        "lines without a return": of(invite).replace("\r\n", "\n"),
        "no end": of(invite).removesuffix("\r\n\r\n"),
        "nothing but line ends": "\r\n" * 30,
        "one octet": b"I",
        "a NUL in a header": of(invite, more=[f"Subject: a\0b{PLANTED}00408"]),
        "octets of no script": of(invite).encode().replace(b"torture", b"\xff\xc0\xaf\xfe"),
        "a name of four kilobytes": of(invite, more=["X" * 4_000 + ": y"]),
        "a hundred Vias": of(
            invite, more=[f"Via: SIP/2.0/UDP {away};branch=z9hG4bK{index}" for index in range(100)]
        ),
        "two hundred Routes": of(
            bye, change={"To": f"<sip:3900@{here}>;tag=1"}, more=[f"Route: <sip:{away}>"] * 200
        ),
        "a header without a colon": of(invite, more=["what is this", ": nor this", f"{PLANTED}00409"]),
        "a Via that sends elsewhere": of(
            options,
            change={
                "Via": f"SIP/2.0/UDP {here};maddr={host};received={host};rport={port};ttl=1;branch=z9hG4bKm"
            },
        ),
        "a route that sends elsewhere": of(
            bye,
            change={"To": f"<sip:3900@{here}>;tag=1"},
            more=[
                f"Route: <sip:{here};lr;maddr={host};transport=tcp;parc=00-00;r2=on>",
                f"Route: <sip:{away}>",
            ],
        ),
        "a route with a seal of nonsense": of(
            bye,
            change={"To": "<sip:3900@a>;tag=1"},
            more=[f"Route: <sip:{here};lr;parc={'zz' * 400}-{'0' * 64}>"],
        ),
        "a port out of range": of(
            f"INVITE sip:3900@{host}:99999999 SIP/2.0", change={"Contact": f"<sip:a@{host}:0>"}
        ),
        "no host": of(
            "INVITE sip: SIP/2.0", change={"Contact": "<sip:>", "To": "<>", "From": "<sip:@>;tag=1"}
        ),
        "another protocol": f"GET http://{away}/ HTTP/1.1\r\nHost: {away}\r\n\r\n",
        "an identity that does not end": of(
            invite, change={"From": f"<sip:anonymous@{away}>;tag=1"}, more=[pai, pai]
        ),
        "a caller of a thousand digits": of(invite, change={"From": f"<sip:{PLANTED * 170}@{away}>;tag=1"}),
        "as great as a packet may be": (of(invite) + "x" * 65_507)[:65_507],
    }
    return {kind: text if isinstance(text, bytes) else text.encode() for kind, text in kinds.items()}


def mutations(bases: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` messages, each one of the bases with one to eight things wrong."""
    source = random.Random(seed)
    for _ in range(count):
        data = bytearray(source.choice(bases))
        for _ in range(source.randint(1, 8)):
            at = source.randrange(len(data) + 1)
            end = min(len(data), at + source.choice((1, 1, 2, 8, 40)))
            match source.randrange(7):
                case 0:
                    data[at:end] = bytes(source.randrange(256) for _ in range(end - at))
                case 1:
                    del data[at:end]
                case 2:
                    data[at:at] = data[at:end] * source.choice((1, 2, 20))
                case 3:
                    data[at:at] = source.choice(TOKENS)
                case 4:
                    data[at:end] = source.choice(TOKENS)
                case 5:
                    lines = bytes(data).split(b"\r\n")
                    first, second = source.randrange(len(lines)), source.randrange(len(lines))
                    lines[first], lines[second] = lines[second], lines[first]
                    data = bytearray(b"\r\n".join(lines))
                case 6 if source.random() < 0.2:
                    del data[at:]
        yield bytes(data[:8_192])
