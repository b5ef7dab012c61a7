"""A delivered file, whatever its format, as blocks of rows of the feed's columns."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

from parc.feeds import Feed
from parc.loading import csvfile, parquetfile
from parc.loading.blocks import Block, UnreadableFile
from parc.loading.landing import DeliveredFile
from parc.numbers import masked

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]{0,62}")


def read(file: DeliveredFile, feed: Feed) -> Iterator[Block]:
    """The file's rows, their columns in the file's order.

    Raises UnreadableFile, naming the file, where it is not what its name says or has not the feed's columns.
    """
    try:
        if file.name.lower().endswith(".parquet"):
            names = parquetfile.read_names(file.path)
            check_names(names, feed)
            yield from parquetfile.read_blocks(file.path, names)
        elif file.name.lower().endswith(".gz"):
            with gzip.open(file.path) as stream:
                yield from _read_csv(cast(BinaryIO, stream), feed)
        else:
            with file.path.open("rb") as stream:
                yield from _read_csv(stream, feed)
    except UnreadableFile as error:
        raise UnreadableFile(f"{file.name}: {error}") from None
    except FileNotFoundError:
        raise UnreadableFile(f"{file.name} was taken away while it was read; run it again") from None
    except EOFError:
        raise UnreadableFile(f"{file.name}: its gzip stream is cut off; deliver the whole file") from None
    except gzip.BadGzipFile as error:
        if "Not a gzipped file" in str(error):
            raise UnreadableFile(
                f"{file.name}: it is not compressed by gzip; deliver it as .csv, or compress it"
            ) from None
        raise UnreadableFile(f"{file.name}: its gzip stream is damaged ({error})") from None
    except zlib.error as error:
        raise UnreadableFile(f"{file.name}: its gzip stream is damaged ({error})") from None


def check_names(names: Sequence[str], feed: Feed) -> None:
    """Check that the columns are the feed's, in any order.

    Raises UnreadableFile with the exact difference.
    """
    wanted = [column.name for column in feed.file_columns]
    if not any(names):
        raise UnreadableFile("it is empty, without even a header")
    if not set(names) & set(wanted):
        # Its first line is data, perhaps personal: not to be repeated.
        raise UnreadableFile(
            f"its first line is no header: it names none of {', '.join(wanted)}{_likely_cause(names, wanted)}"
        )
    differences = [
        ("lacks", [name for name in wanted if name not in names]),
        ("has the unknown", [name for name in dict.fromkeys(names) if name not in wanted]),
        ("repeats", [name for name in dict.fromkeys(names) if names.count(name) > 1]),
    ]
    told = [
        f"{verb} column{'s' if len(found) > 1 else ''} {', '.join(map(_shown, found))}"
        for verb, found in differences
        if found
    ]
    if told:
        raise UnreadableFile(" and ".join(told))


def _read_csv(stream: BinaryIO, feed: Feed) -> Iterator[Block]:
    names = csvfile.read_header(stream)
    check_names(names, feed)
    yield from csvfile.read_blocks(stream, names)


def _likely_cause(names: Sequence[str], wanted: Sequence[str]) -> str:
    if {name.strip().lower() for name in names} & set(wanted):
        return " (names are in lower case, without spaces)"
    for separator, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and set(names[0].split(separator)) & set(wanted):
            return f" (fields are separated by commas, not by {called})"
    return ""


def _shown(name: str) -> str:
    return f"`{masked(name)}`" if _PLAIN_NAME.fullmatch(name) else "(not a name)"
