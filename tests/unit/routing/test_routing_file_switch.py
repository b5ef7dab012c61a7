"""The file switch: whole releases or none, one atomic flip, read back from the files themselves."""

from __future__ import annotations

import json
import stat
import uuid
from pathlib import Path

import fsspec
import pytest

from parc.errors import RoutingRefused
from parc.routing.switches import Pointer, Release
from parc.routing.switches.file import UNREADABLE, FileSwitch
from parc.routing.table.content import SHAPES
from parc.routing.table.desired import desired_state
from support.routing_tables import EVE, GO_LIVE, world

OLD, NEW = desired_state(world(), EVE), desired_state(world(), GO_LIVE)


@pytest.fixture(params=["local", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "switch") if request.param == "local" else f"memory://{uuid.uuid4().hex}/switch"


@pytest.fixture
def switch(url: str) -> FileSwitch:
    """A switch on which release `one` is live and `two` is staged."""
    switch = FileSwitch(url)
    switch.stage(Release("one", OLD, {"build_id": 1}))
    switch.activate("one", 1)
    switch.stage(Release("two", NEW, {"build_id": 2}))
    return switch


def files(url: str, version: str) -> dict[str, bytes]:
    fs, root = fsspec.core.url_to_fs(url)
    return {
        path.rsplit("/", 1)[-1]: fs.cat_file(path)
        for path in fs.ls(f"{root}/releases/{version}", detail=False)
    }


def test_an_empty_folder_is_an_empty_switch(url: str) -> None:
    switch = FileSwitch(url)
    assert switch.pointer() == Pointer(None, None, 0)
    assert switch.read_live() is None


def test_staging_changes_nothing_that_is_live(switch: FileSwitch) -> None:
    assert switch.pointer() == Pointer("one", None, 1)
    live = switch.read_live()
    assert live is not None and live.digest == OLD.digest and not live.problems


def test_a_release_consists_of_tables_and_a_manifest(switch: FileSwitch, url: str) -> None:
    held = files(url, "two")
    assert set(held) == {f"{name}.csv" for name in SHAPES} | {"manifest.json"}
    manifest = json.loads(held["manifest.json"])
    assert (manifest["version"], manifest["content_digest"]) == ("two", NEW.digest)
    assert manifest["provenance"] == {"build_id": 2}
    for name, entry in manifest["tables"].items():
        assert (entry["sha256"], entry["bytes"]) == (NEW.sha256[name], len(held[f"{name}.csv"]))
        assert entry["rows"] == held[f"{name}.csv"].count(b"\n") - 1


def test_a_flip_and_its_rollback_leave_every_file_unchanged(switch: FileSwitch, url: str) -> None:
    before = files(url, "one")
    switch.activate("two", 2)
    live = switch.read_live()
    assert live is not None and live.digest == NEW.digest
    switch.rollback(3)
    assert switch.pointer() == Pointer("one", "two", 3)
    assert files(url, "one") == before
    live = switch.read_live()
    assert live is not None and live.digest == OLD.digest


def test_an_interrupted_stage_is_no_release(switch: FileSwitch, url: str) -> None:
    fs, root = fsspec.core.url_to_fs(url)
    fs.rm_file(f"{root}/releases/two/manifest.json")
    assert "it has no manifest.json" in switch.verify("two").problems[0]
    with pytest.raises(RoutingRefused, match="no complete release two"):
        switch.activate("two", 2)
    assert switch.pointer().version == "one"


def test_an_older_token_cannot_flip(switch: FileSwitch) -> None:
    switch.activate("two", 7)
    with pytest.raises(RoutingRefused, match=r"token 7.*token 6"):
        switch.activate("one", 6)
    with pytest.raises(RoutingRefused, match="token 7"):
        switch.rollback(6)
    assert switch.pointer() == Pointer("two", "one", 7)


@pytest.mark.parametrize(
    ("name", "spoil", "problem"),
    [
        ("routes.csv", lambda data: data.replace(b",60\n", b",61\n"), "routes.csv is not the file"),
        ("routes.csv", lambda data: data.replace(b",60\n", b",x\n"), "routes: not a routing table"),
        ("sites.csv", lambda data: data[: len(data) // 2], "sites.csv is not the file"),
        ("prefixes.csv", lambda data: b"", "prefixes: not a routing table"),
        ("windows.csv", None, "windows.csv is missing"),
        (
            "manifest.json",
            lambda data: data.replace(NEW.digest.encode(), b"0" * 64),
            "another content digest",
        ),
        ("manifest.json", lambda data: b"{", "is not a manifest"),
    ],
)
def test_tampering_is_detected(switch: FileSwitch, url: str, name: str, spoil, problem: str) -> None:  # type: ignore[no-untyped-def]
    fs, root = fsspec.core.url_to_fs(url)
    path = f"{root}/releases/two/{name}"
    if spoil is None:
        fs.rm_file(path)
    else:
        fs.pipe_file(path, spoil(fs.cat_file(path)))
    assert any(problem in found for found in switch.verify("two").problems)


def test_a_damaged_pointer_differs_from_an_empty_switch(switch: FileSwitch, url: str) -> None:
    fs, root = fsspec.core.url_to_fs(url)
    fs.pipe_file(f"{root}/current.json", b'{"version": "o')
    assert switch.pointer() == Pointer(UNREADABLE, None, 0)
    live = switch.read_live()
    assert live is not None and live.content is None and "is not a pointer" in live.problems[0]


def test_the_active_and_previous_versions_are_never_discarded(switch: FileSwitch, url: str) -> None:
    fs, root = fsspec.core.url_to_fs(url)
    for version in ("three", "four"):
        switch.stage(Release(version, NEW, {}))
    switch.activate("two", 2)
    fs.pipe_file(f"{root}/current.json.9", b"draft of a killed run")
    switch.discard({"three"})
    held = {path.rsplit("/", 1)[-1] for path in fs.ls(f"{root}/releases", detail=False)}
    assert held == {"one", "two", "three"}
    assert not fs.exists(f"{root}/current.json.9")
    assert switch.verify("two").problems == ()


def test_the_folder_with_numbers_is_private_to_its_owner(tmp_path: Path) -> None:
    root = tmp_path / "switch"
    FileSwitch(str(root)).stage(Release("one", OLD, {}))
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
