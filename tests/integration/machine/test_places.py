"""Disks that fill up, and a landing zone that is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from parc.findings import FindingKind, Severity
from parc.machine import places
from parc.settings import Settings
from support.disks import mounted

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", landing=str(tmp_path / "home" / "landing"), switch="")


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A disk of so many MB."""
    with mounted(tmp_path / "disk", request.param) as folder:
        yield folder


@pytest.mark.parametrize(
    ("disk", "severity", "text"),
    [(100, Severity.WRONG, "0.1 GiB free"), (4096, Severity.NOTE, "4.0 GiB free")],
    indirect=["disk"],
)
def test_a_disk_is_told_before_it_is_full(
    settings: Settings, disk: Path, severity: Severity, text: str
) -> None:
    on_it = replace(settings, home=disk / "home", landing=str(disk / "home" / "landing"))
    [finding] = places.findings(on_it)
    assert (finding.kind, finding.severity) == (FindingKind.DISK, severity)
    assert finding.text == f"{text} at {disk / 'home'}"


@pytest.mark.parametrize("disk", [100], indirect=True)
def test_the_disk_of_the_server_may_be_another(settings: Settings, disk: Path) -> None:
    (disk / "data").mkdir()
    settings.home.mkdir()
    (settings.home / "postgres").symlink_to(disk)
    [finding] = places.findings(settings)
    assert finding.text == f"0.1 GiB free at {settings.home / 'postgres' / 'data'}"


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_landing_zone_that_is_not_there(settings: Settings, scheme: str) -> None:
    [finding] = places.findings(replace(settings, landing=f"{scheme}/no/such"))
    assert finding.kind is FindingKind.LANDING_ZONE and "/no/such does not exist" in finding.text
    assert finding.steps
    assert places.findings(replace(settings, landing=f"{scheme}{settings.home.parent}")) == []
