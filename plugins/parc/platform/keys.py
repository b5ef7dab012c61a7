"""The keys that a restored warehouse was loaded with, and the list of who was forgotten, under these keys.

Both may have changed since: `parc secret rotate` changes the keys, and people were forgotten after the
moment that is restored. The list is kept by the newest keys, and can be turned into that of any others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.host import backups
from parc.host.backups import Backup
from parc.loading.pseudonyms import COPY
from parc.pseudonyms import NEXT_OUTER_KEY, OUTER_KEY, Pseudonyms
from parc.settings import Settings, given_secret

SECRET, OUTER_KEYS = "pseudonym_secret", (OUTER_KEY, NEXT_OUTER_KEY)


@dataclass(frozen=True)
class _Keys:
    """The keys in a folder of secrets; `outer_name` is the file of the outer one."""

    folder: Path
    outer_name: str
    pseudonyms: Pseudonyms


def stage(settings: Settings, backup: Backup, fingerprint: str | None, home: Path) -> None:
    """Put what belongs to a restored warehouse in a folder: the secrets, with the keys of this fingerprint
    (None: the warehouse has no key yet), and the list of everybody who was forgotten, by those keys.

    Raises ConfigurationError if these keys are nowhere, or people could not be recognised by them.
    """
    known = list(_known(settings, backup))
    right = next((each for each in known if fingerprint in (None, each.pseudonyms.fingerprint)), None)
    if right is None:
        raise ConfigurationError(
            f"the keys that this warehouse was loaded with (fingerprint {str(fingerprint)[:8]}) are neither "
            "set nor among the backups",
            steps=(Step("set PARC_PSEUDONYM_SECRET and PARC_PSEUDONYM_OUTER_KEY as they were then"),),
        )
    listed = _listed(settings, backup, known, right)
    secrets = home / "secrets"
    secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in sorted(right.folder.glob("[!.]*")):
        if path.name not in OUTER_KEYS:
            backups.write(secrets / path.name, path.read_bytes())
    if (outer := right.folder / right.outer_name).exists():
        backups.write(secrets / OUTER_KEY, outer.read_bytes())
    for name in backups.SMALL_FILES:
        kept = next((each / name for each in _places(settings, backup) if (each / name).exists()), None)
        if name != COPY and kept:
            backups.write(home / name, kept.read_bytes())
    if listed:
        text = json.dumps({"fingerprint": right.pseudonyms.fingerprint, "forgotten": listed}, indent=1)
        backups.write(home / COPY, text.encode())


def put_in_place(settings: Settings, staged: Path) -> None:
    """Give the platform what was staged; lists of users and addresses that it has count more."""
    secrets = settings.home / "secrets"
    secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in sorted((staged / "secrets").glob("[!.]*")):
        backups.write(secrets / path.name, path.read_bytes())
    for name in OUTER_KEYS:
        if not (staged / "secrets" / name).exists():
            (secrets / name).unlink(missing_ok=True)
    for name in backups.SMALL_FILES:
        path = staged / name
        if path.exists() and (name == COPY or not (settings.home / name).exists()):
            backups.write(settings.home / name, path.read_bytes())


def _places(settings: Settings, backup: Backup) -> list[Path]:
    """Where copies may be, the newest first."""
    assert settings.backups
    others = [each.folder / "home" for each in backups.backups(settings.backups)]
    return [settings.backups, backup.folder / "home", settings.home, *others]


def _known(settings: Settings, backup: Backup) -> Iterator[_Keys]:
    """All keys that are to be found; what the environment gives counts everywhere."""
    given = given_secret(f"PARC_{SECRET.upper()}"), given_secret(f"PARC_{OUTER_KEY.upper()}")
    for place in _places(settings, backup):
        folder = place / "secrets"
        secret = given[0] or _content(folder / SECRET)
        if secret is None:
            continue
        for name in OUTER_KEYS:
            outer = given[1] or _content(folder / name)
            yield _Keys(folder, name, Pseudonyms(secret.encode(), outer.encode() if outer else None))


def _content(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _listed(settings: Settings, backup: Backup, known: list[_Keys], right: _Keys) -> dict[str, Any]:
    """Everybody on any copy of the list, by the right keys."""
    listed: dict[str, Any] = {}
    for place in _places(settings, backup):
        text = _content(place / COPY)
        if text is None:
            continue
        try:
            kept = json.loads(text)
            by, entries = kept["fingerprint"], kept["forgotten"]
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{place / COPY}, the list of who was forgotten, is damaged") from None
        former = next((each.pseudonyms for each in known if each.pseudonyms.fingerprint == by), None)
        if former is None:
            raise ConfigurationError(
                f"{place / COPY} lists who was forgotten by keys (fingerprint {by[:8]}) that are not to be "
                "found, so that these people would be readable; nothing was changed"
            )
        listed |= zip(_renewed(right.pseudonyms, former, entries), entries.values(), strict=True)
    return listed


def _renewed(right: Pseudonyms, former: Pseudonyms, entries: dict[str, Any]) -> list[str]:
    return [str(each) for each in right.renew([UUID(text) for text in entries], former)]
