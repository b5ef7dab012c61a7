"""The commands that the platform prints work as printed, on the platform that printed them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from parc.host import shell
from parc.settings import PROJECT, Settings


def test_a_shell_without_path_and_home_reaches_the_platform_that_is_meant(tmp_path: Path) -> None:
    home = tmp_path / "a home"
    settings = Settings(home=home, landing="file:///no/such", switch=str(home / "switch"))
    given = {name: value for name, value in os.environ.items() if not name.startswith("PARC_")}
    script = f"{shell.definition(settings)}\nparc doctor"  # as printed
    done = subprocess.run(
        ["sh", "-c", script],
        env=given | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    said = done.stdout.replace("\n", "")
    assert "file:///no/such" in said and "a home" in said, done.stdout + done.stderr
    assert "PARC_SWITCH" not in shell.definition(settings)


def test_it_is_said_where_another_platform_would_be_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = Settings(home=PROJECT / ".parc", landing="", switch="")
    monkeypatch.setenv("PATH", str(shell.PROGRAM.parent))
    assert not shell.is_needed(default)
    assert shell.is_needed(replace(default, home=tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    assert shell.is_needed(default)
