"""The control file of a delivery: how many rows its files hold, and the SHA-256 of each.

    {"rows": 341756, "sha256": {"calls.csv": "3f5a..."}}

Either may be left out. JSON as Windows writes it is read too: with a byte order mark, in UTF-16, digests in
capitals; names are compared as `names.plain` has them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from parc.loading.limits import named
from parc.loading.names import plain, told

CONTROL = "_CONTROL.json"


@dataclass(frozen=True)
class Control:
    """What a control file says: `rows` (None = nothing), and the digests by plain name."""

    rows: int | None = None
    sha256: tuple[tuple[str, str], ...] = ()

    def contradiction(self, files: Sequence[tuple[str, str]], others: Collection[str]) -> str | None:
        """What it says that the files - plain name and digest of each - are not, or None; `others` are the
        plain names of what else lies there."""
        left = list(files)
        for name, digest in self.sha256:
            found = [own for named, own in left if named == name]
            if not found:
                return f"{CONTROL} names {told(name)}, {whereabouts(name, others)}"
            if digest not in found:
                shown = digest if re.fullmatch("[0-9a-f]{64}", digest) else told(digest)
                return f"{CONTROL} gives {told(name)} the sha256 {shown}, it is {found[0]}"
            left.remove((name, digest))
        if self.sha256 and left:
            return f"{CONTROL} does not name {named([told(name) for name, _ in left])}"
        return None


NOTHING_SAID = Control()
MOST_COUNTED = 2**63 - 1


def whereabouts(name: str, others: Collection[str]) -> str:
    """Where a file is that is named and not among the data."""
    return "which is there, but is no data file" if name in others else "which is not there"


def is_control(name: str) -> bool:
    """Whether a file of this name is a control file; capitals do not matter."""
    return name.casefold() == CONTROL.casefold()


def parse(content: bytes) -> Control:
    """What a control file of this content says.

    Raises ValueError where it is not of the shape {"rows": N, "sha256": {"<file>": "..."}}.
    """
    text = content.decode(json.detect_encoding(content), errors="replace")
    try:
        said = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(said, dict):
        raise ValueError("it holds no JSON object")
    if said and not said.keys() & {"rows", "sha256"}:
        raise ValueError('it says neither "rows" nor "sha256"')
    rows, digests = said.get("rows"), said.get("sha256", {})
    is_count = rows is None or (type(rows) is int and 0 <= rows <= MOST_COUNTED)
    is_named = isinstance(digests, dict) and all(isinstance(digest, str) for digest in digests.values())
    if not (is_count and is_named):
        raise ValueError('it is not of the shape {"rows": N, "sha256": {"<file>": "..."}}')
    return Control(rows, tuple((plain(name), digest.strip().lower()) for name, digest in digests.items()))
