"""Packed files that are not whole: what is missing, and where."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from parc.loading.limits import unpacked_bytes_allowed

_CHUNK = 1 << 20
_PARQUET = b"PAR1"


def cut_off(packed_bytes: int) -> str:
    """What is wrong with a gzip file that ends after so many bytes, in the middle of its stream."""
    return f"its gzip stream is cut off at byte {packed_bytes:,}; deliver the whole file"


def why_not_whole(name: str, path: Path) -> str | None:
    """What is wrong with a packed file of this name if it is cut off or damaged; None if it is whole, or
    tells nothing about that."""
    packed_bytes = path.stat().st_size
    with path.open("rb") as packed:
        if name.lower().endswith(".parquet"):
            packed.seek(max(0, packed_bytes - len(_PARQUET)))
            is_whole = packed.read() == _PARQUET
            return None if is_whole else f"it is cut off at byte {packed_bytes:,}; deliver the whole file"
        if not name.lower().endswith(".gz"):
            return None
        left = unpacked_bytes_allowed(packed_bytes)
        try:
            with gzip.open(packed) as stream:
                while left > 0 and (data := stream.read(_CHUNK)):
                    left -= len(data)
        except EOFError:
            return cut_off(packed_bytes)
        except (gzip.BadGzipFile, zlib.error) as error:
            return f"its gzip stream is damaged ({error})"
    return None
