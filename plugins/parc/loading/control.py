"""The control file of a delivery: how many rows its files hold, and the SHA-256 of each file.

    {"rows": 341756, "sha256": {"calls.csv": "3f5a..."}}

Either key may be left out, or written in capitals. JSON as Windows writes it is accepted too: with a byte
order mark, in UTF-16, digests in capitals. File names are compared after `names.plain`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from parc.loading.limits import named
from parc.loading.names import plain, reported

CONTROL = "_CONTROL.json"
LARGEST_COUNT = 10**12
_SHAPE = '{"rows": N, "sha256": {"<file>": "..."}}'


@dataclass(frozen=True)
class Control:
    """The contents of a control file: `rows` (None: not given), and the digests by plain name."""

    rows: int | None = None
    sha256: tuple[tuple[str, str], ...] = ()

    def contradiction(self, files: Sequence[tuple[str, str]], others: Collection[str]) -> str | None:
        """How the control file contradicts the files (plain name and digest of each), or None if it does not.
        `others` are the plain names of everything else in the folder."""
        left = list(files)
        for name, digest in self.sha256:
            found = [own for own_name, own in left if own_name == name]
            if not found:
                return f"{CONTROL} names {reported(name)}, {why_absent(name, others)}"
            if digest not in found:
                shown = digest if re.fullmatch("[0-9a-f]{64}", digest) else reported(digest)
                return f"{CONTROL} gives {reported(name)} the sha256 {shown}, but it is {found[0]}"
            left.remove((name, digest))
        if self.sha256 and left:
            return f"{CONTROL} does not name {named([reported(name) for name, _ in left])}"
        return None


NO_CONTROL_FILE = Control()


def why_absent(name: str, others: Collection[str]) -> str:
    """Why a file that the control file names is not among the data."""
    return "which is there but is not a data file" if name in others else "which is not there"


def is_control(name: str) -> bool:
    """Whether a file of this name is a control file; case does not matter."""
    return name.casefold() == CONTROL.casefold()


def parse(content: bytes) -> Control:
    """Parse the content of a control file.

    Raises ValueError if it does not have the form {"rows": N, "sha256": {"<file>": "..."}}, or has a key
    twice.
    """
    text = content.decode(json.detect_encoding(content), errors="replace")
    try:
        # Objects become tuples of pairs, which keeps duplicate keys and tells objects from lists.
        pairs = json.loads(text, object_pairs_hook=tuple, parse_int=_count)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(pairs, tuple):
        raise ValueError("it is not a JSON object")
    found = [(name.casefold(), value) for name, value in pairs if name.casefold() in ("rows", "sha256")]
    if pairs and not found:
        raise ValueError('it has neither "rows" nor "sha256"')
    known = dict(found)
    if len(known) < len(found):
        raise ValueError('it has "rows" or "sha256" more than once')
    rows, digests = known.get("rows"), known.get("sha256", ())
    is_count = rows is None or (type(rows) is int and 0 <= rows <= LARGEST_COUNT)
    is_named = isinstance(digests, tuple) and all(isinstance(digest, str) for _, digest in digests)
    if not (is_count and is_named):
        raise ValueError(f"it must have the form {_SHAPE}, N from 0 to {LARGEST_COUNT:,}")
    return Control(rows, tuple((plain(name), digest.strip().lower()) for name, digest in digests))


def _count(digits: str) -> int:
    """A whole number; of one that is too large, just enough digits to see that."""
    return int(digits[: len(str(LARGEST_COUNT)) + 1])
