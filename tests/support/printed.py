"""Runs the commands of findings as they are printed, in the situation that prints them."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence

from parc import desk
from parc.findings import Finding, FindingKind, Step
from parc.settings import Settings
from support.command_line import parc


def run_printed(
    settings: Settings,
    kind: FindingKind,
    *,
    found: Sequence[Finding] | None = None,
    instead: bool = False,
    codes: Sequence[int] = (0,),
    without: Step | None = None,
) -> Finding:
    """Run the commands of the one finding of this kind: among those `found`, else on the desk. An alternative
    is run in the place of the step before it if `instead`. Each command ends with one of `codes`. A step that
    another kind's test runs, and that takes long, is printed and not run here (`without`).
    """
    [finding] = [each for each in found or desk.findings(settings) if each.kind is kind]
    steps = chosen(finding.steps, instead=instead)
    if without:
        steps.remove(without)
    assert any(step.command for step in steps), finding
    for step in steps:
        if step.command:
            done = run(settings, step.command)
            assert done.returncode in codes, f"{step.command}: {done.returncode}\n{done.stdout}{done.stderr}"
            assert "Traceback" not in done.stderr
    return finding


def chosen(steps: Sequence[Step], *, instead: bool) -> list[Step]:
    """The steps that a person takes who reads them from the top."""
    taken: list[Step] = []
    for step in steps:
        if not step.is_alternative:
            taken.append(step)
        elif instead:
            taken[-1] = step
    return taken


def run(settings: Settings, command: str) -> subprocess.CompletedProcess[str]:
    """One command in a shell of this platform; where the function `parc` comes from is tested in
    test_shell.py."""
    program, *arguments = shlex.split(command)
    if program == "parc":
        return parc(settings, *arguments)
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
