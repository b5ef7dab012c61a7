"""Reads a delivered file of any format as blocks of rows with the feed's columns."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from typing import BinaryIO, Literal, cast

from parc.feeds import Feed
from parc.loading import csvfile, parquetfile
from parc.loading.blocks import BOM, WHITE_SPACE, Block, UnreadableFile
from parc.loading.landing import DeliveredFile
from parc.loading.limits import MOST_COLUMNS, named, unpacked_bytes_allowed
from parc.loading.packed import cut_off
from parc.numbers import masked_with_serials

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]{0,62}")
_QUOTES = "\"'`"
_KINDS = (
    (b"PK\x03\x04", "a zip archive, or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ", "compressed by xz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"PAR1", "a Parquet file"),
    (b"\xff\xfe\0\0", "text in UTF-32"),
    (b"\0\0\xfe\xff", "text in UTF-32"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
    (b"%PDF", "a PDF"),
    (b"<", "HTML or XML"),
    (b"{", "JSON"),
)
"""The first bytes of files that are not CSV."""


def read(file: DeliveredFile, feed: Feed, business_date: date) -> Iterator[Block]:
    """Read the file's rows, with columns in the file's order.

    Raises UnreadableFile, naming the file, if it does not have the format that its name implies, or the
    columns that the feed has on that date.
    """
    name = file.name.lower()
    try:
        if name.endswith(".parquet"):
            names = parquetfile.read_names(file.path)
            check_names(names, feed, business_date, "its columns")
            yield from parquetfile.read_blocks(file.path, names)
        elif name.endswith(".gz"):
            with file.path.open("rb") as packed, gzip.open(packed) as stream:
                bounded = _Unpacked(cast(BinaryIO, stream), file.bytes)
                yield from _read_csv(cast(BinaryIO, bounded), feed, business_date)
        else:
            with file.path.open("rb") as stream:
                yield from _read_csv(stream, feed, business_date)
    except UnreadableFile as error:
        raise UnreadableFile(f"{file.name}: {error}") from None
    except FileNotFoundError:
        raise UnreadableFile(f"{file.name} was removed while it was being read; run it again") from None
    except EOFError:
        raise UnreadableFile(f"{file.name}: {cut_off(file.bytes)}") from None
    except gzip.BadGzipFile as error:
        raise UnreadableFile(f"{file.name}: {_no_gzip(file, error)}") from None
    except zlib.error as error:
        raise UnreadableFile(f"{file.name}: its gzip stream is damaged ({error})") from None


def check_names(
    names: Sequence[str], feed: Feed, business_date: date, source: Literal["its columns", "its first line"]
) -> None:
    """Check that the columns are those of the feed on that date, in any order; `source` says where names are
    from.

    Raises UnreadableFile with the exact difference.
    """
    known = [column.name for column in feed.file_columns]
    due = [column.name for column in feed.file_columns if column.is_due(business_date)]
    is_csv = source == "its first line"
    if len(names) > MOST_COLUMNS:
        raise UnreadableFile(f"it has {len(names):,} columns, at most {MOST_COLUMNS:,} are read")
    if not names:
        raise UnreadableFile("it is empty, without even a header" if is_csv else "it has no columns")
    if not set(names) & set(known):
        # The first line may be data, and personal, so the message does not quote it.
        what = f"{source} {'is not a header: it has' if is_csv else 'are'} none of {', '.join(due)}"
        raise UnreadableFile(f"{what}{_likely_cause(names, known, is_csv)}")
    counts = Counter(names)
    differences = [
        ("lacks", [name for name in due if name not in names]),
        ("has the unknown", [name for name in counts if name and name not in known]),
        ("repeats", [name for name, count in counts.items() if name and count > 1]),
    ]
    problems = [
        f"{verb} column{'s' if len(found) > 1 else ''} {named([_shown(name, known) for name in found])}"
        for verb, found in differences
        if found
    ]
    if "" in names:
        problems.append(
            f"has {names.count('') if names.count('') > 1 else 'a'} column without a name"
            f"{_comma(names) if is_csv else ''}"
        )
    if problems:
        raise UnreadableFile(f"{' and '.join(problems)}{_likely_cause(names, known, is_csv)}")


class _Unpacked:
    """The unpacked content of a gzip file, limited to the size that the file may have."""

    def __init__(self, stream: BinaryIO, packed_bytes: int) -> None:
        self._stream = stream
        self._packed_bytes = packed_bytes
        self._left = unpacked_bytes_allowed(packed_bytes)

    def read(self, size: int) -> bytes:
        return self._counted(self._stream.read(size))

    def readline(self, size: int) -> bytes:
        return self._counted(self._stream.readline(size))

    def seek(self, offset: int) -> int:
        return self._stream.seek(offset)

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise UnreadableFile(
                f"its gzip stream of {self._packed_bytes:,} bytes holds more than "
                f"{unpacked_bytes_allowed(self._packed_bytes):,}, the limit for a stream of that size"
            )
        return data


def _read_csv(stream: BinaryIO, feed: Feed, business_date: date) -> Iterator[Block]:
    if kind := _kind(stream):
        raise UnreadableFile(f"it is {kind}, not CSV in UTF-8")
    names = csvfile.read_header(stream)
    check_names(names, feed, business_date, "its first line")
    yield from csvfile.read_blocks(stream, names)


def _kind(stream: BinaryIO) -> str | None:
    """What a file is if it is not CSV; the stream is at its beginning before and after."""
    begins = stream.read(8)
    stream.seek(0)
    return next((kind for sign, kind in _KINDS if begins.startswith(sign)), None)


def _no_gzip(file: DeliveredFile, error: gzip.BadGzipFile) -> str:
    """What is wrong with a file that should be gzip."""
    if "Not a gzipped file" not in str(error):
        return f"its gzip stream is damaged ({error})"
    with file.path.open("rb") as stream:
        kind = _kind(stream)
    if kind == "compressed by gzip":
        return "other data follows its gzip stream; deliver the file again"
    if kind:
        return f"it is {kind}, not compressed by gzip"
    return "it is not compressed by gzip; deliver it as .csv, or compress it"


def _comma(names: Sequence[str]) -> str:
    return " (a comma at the end of the header)" if names[-1] == "" and names.count("") == 1 else ""


def _likely_cause(names: Sequence[str], known: Sequence[str], is_csv: bool) -> str:
    reformatted = "".join(name for name in names if name not in known and _normalised(name) in known)
    if reformatted:
        rules = ["in lower case, without spaces"]
        rules += ["without quotes but double ones"] if set(reformatted) & set(_QUOTES) else []
        rules += ["without a byte order mark"] if BOM in reformatted else []
        return f" (names are {', '.join(rules)})"
    if not is_csv or len(names) > 1:
        return ""
    for separator, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if separator in names[0] and set(names[0].split(separator)) & set(known):
            return f" (fields are separated by commas, not by {called})"
    return " (all names must be in the first line)" if names[0] in known else ""


def _normalised(name: str) -> str:
    """A name without surrounding white space and quotes, in lower case."""
    return name.strip(WHITE_SPACE + _QUOTES).lower()


def _shown(name: str, known: Sequence[str]) -> str:
    if _normalised(name) in known:
        return f"`{repr(name)[1:-1]}`"
    return f"`{masked_with_serials(name)}`" if _PLAIN_NAME.fullmatch(name) else "(not a name)"
