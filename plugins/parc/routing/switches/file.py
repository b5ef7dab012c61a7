"""The file switch: a folder that a switch imports from, local or at any fsspec URL.

    current.json                      the active release; replaced as a whole
    releases/<version>/<table>.csv    the six tables in canonical form
    releases/<version>/manifest.json  written last: the digest, and the sha256, bytes and rows of each table

The files hold raw numbers (the exceptions). On disk only their owner can read them; in a store or on a
server the rights of the folder apply.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from parc import storage
from parc.errors import RoutingRefused
from parc.findings import BUILD, Step
from parc.routing.switches import SEE_LIVE, UNREADABLE, Answer, Pointer, Question, Reading, Release
from parc.routing.table.content import SHAPES, Content
from parc.wording import counted

POINTER = "current.json"
MANIFEST = "manifest.json"
FORMAT = 1


class FileSwitch:
    """Releases as files under a URL."""

    def __init__(self, url: str) -> None:
        self._fs, root = storage.connect(url)
        self._root = root.rstrip("/")
        self._is_local = "file" in self._fs.protocol

    def pointer(self) -> Pointer:
        """The content of the pointer file; version UNREADABLE if it is damaged."""
        try:
            given = json.loads(self._fs.cat_file(f"{self._root}/{POINTER}"))
            return Pointer(given["version"], given["previous"], int(given["fence"]))
        except FileNotFoundError:
            return Pointer(None, None, 0)
        except (ValueError, KeyError, TypeError):
            return Pointer(UNREADABLE, None, 0)

    def read_live(self) -> Reading | None:
        """The release that the pointer names, read from its files."""
        pointer = self.pointer()
        if pointer.version == UNREADABLE:
            return Reading(UNREADABLE, None, (f"{self._root}/{POINTER} is not a pointer to a release",))
        return None if pointer.version is None else replace(self.verify(pointer.version), fence=pointer.fence)

    def stage(self, release: Release) -> None:
        """Write the tables, then the manifest that makes them a release. A complete one is left as it is."""
        held = self.verify(release.version)
        if held.digest == release.content.digest and not held.problems:
            return
        folder = self._folder(release.version)
        self._make_folders(folder)
        for name, data in release.content.files.items():
            self._write(f"{folder}/{name}.csv", data)
        manifest = {
            "format": FORMAT,
            "version": release.version,
            "content_digest": release.content.digest,
            "tables": {
                name: {
                    "file": f"{name}.csv",
                    "rows": release.content.row_counts[name],
                    "bytes": len(data),
                    "sha256": release.content.sha256[name],
                }
                for name, data in release.content.files.items()
            },
            "provenance": release.provenance,
        }
        self._write(f"{folder}/{MANIFEST}", json.dumps(manifest, indent=2, sort_keys=True).encode())

    def verify(self, version: str) -> Reading:
        """Read the files of a version and compare them with its manifest."""
        folder = self._folder(version)
        try:
            manifest = json.loads(self._fs.cat_file(f"{folder}/{MANIFEST}"))
            expected = {name: manifest["tables"][name] for name in SHAPES}
            digest = manifest["content_digest"]
        except FileNotFoundError:
            return Reading(version, None, (f"{folder} is not a complete release: it has no {MANIFEST}",))
        except (ValueError, KeyError, TypeError):
            return Reading(version, None, (f"{folder}/{MANIFEST} is not a manifest",))
        files, problems = {}, []
        for name, described in expected.items():
            try:
                files[name] = self._fs.cat_file(f"{folder}/{name}.csv")
            except FileNotFoundError:
                problems.append(f"{name}.csv is missing")
                continue
            if hashlib.sha256(files[name]).hexdigest() != described["sha256"]:
                problems.append(f"{name}.csv is not the file that the manifest describes (sha256)")
        try:
            content = Content.read(files)
        except ValueError as error:
            return Reading(version, None, (*problems, str(error)))
        for name, rows in content.row_counts.items():
            if rows != expected[name]["rows"]:
                problems.append(
                    f"{name}.csv has {counted(rows, 'row')}, its manifest says {expected[name]['rows']}"
                )
        if content.digest != digest and not problems:
            problems.append(f"{MANIFEST} names another content digest than its files have")
        return Reading(version, content, tuple(problems))

    def activate(self, version: str, fence: int) -> None:
        """Point at a complete version."""
        try:
            self._fs.cat_file(f"{self._folder(version)}/{MANIFEST}")
        except FileNotFoundError:
            raise RoutingRefused(f"the switch has no complete release {version}") from None
        self._point(version, fence)

    def rollback(self, fence: int) -> None:
        """Point at the previous version; at none if there was none."""
        self._point(self.pointer().previous, fence)

    def drains(self) -> dict[str, datetime]:
        """Empty: files know no drains."""
        return {}

    def drain(self, site_code: str, until: datetime | None) -> None:
        """Refused: the switch that imports the files decides itself whom it calls."""
        raise RoutingRefused(
            f"{site_code} cannot be drained: the switch is a folder ({self._root}), which takes whole tables "
            "only. What imports them goes on giving it calls",
            steps=(
                Step(f"take {site_code} out of its routes in dbt_project/seeds/route_sites.csv"),
                BUILD,
                Step("release it", "parc routing apply"),
                Step(
                    "send all calls to the national route",
                    "parc routing emergency national",
                    is_alternative=True,
                ),
            ),
        )

    def ask(self, question: Question) -> Answer | None:
        """None: files cannot be asked."""
        return None

    def discard(self, keep: Collection[str]) -> None:
        """Delete the other releases' folders."""
        pointer = self.pointer()
        kept = {*keep, pointer.version, pointer.previous}
        self._fs.invalidate_cache()
        releases = f"{self._root}/releases"
        for path in self._fs.ls(releases, detail=False) if self._fs.exists(releases) else ():
            if _name(path) not in kept:
                self._fs.rm(path, recursive=True)
        for path in self._fs.ls(self._root, detail=False) if self._fs.exists(self._root) else ():
            if _name(path).startswith(f"{POINTER}."):  # the draft of a run that was killed
                self._fs.rm(path)

    def _folder(self, version: str) -> str:
        return f"{self._root}/releases/{version}"

    def _point(self, version: str | None, fence: int) -> None:
        now = self.pointer()
        if now.fence > fence:
            raise RoutingRefused(
                f"another release (token {now.fence}) has reached the switch since this one (token {fence}) "
                "began; this one stops",
                steps=(SEE_LIVE,),
            )
        pointer = {"version": version, "previous": now.version, "fence": fence}
        draft = f"{self._root}/{POINTER}.{fence}"
        self._write(draft, json.dumps(pointer).encode())
        # One operation on every store: rename(2), posix-rename over sftp, a single put of the target object.
        self._fs.mv(draft, f"{self._root}/{POINTER}")

    def _make_folders(self, folder: str) -> None:
        """Make the folder of a release. On disk, all releases are closed to other users, old ones too."""
        if not self._is_local:
            self._fs.makedirs(folder, exist_ok=True)
            return
        if not self._fs.exists(self._root):
            Path(self._root).mkdir(parents=True, mode=0o700)
        Path(folder).mkdir(parents=True, exist_ok=True)
        releases = Path(folder).parent
        for path in (releases, *releases.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)

    def _write(self, path: str, data: bytes) -> None:
        if not self._is_local:
            with self._fs.open(path, "wb") as file:
                file.write(data)
            return
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]
