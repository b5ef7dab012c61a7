"""The documentation: its site builds, and what it shows exists."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from parc.cli import app
from parc.settings import PROJECT

PAGES = [
    *sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]),
    PROJECT / "expectations" / "README.md",
]
WRITTEN = {  # pages that a script writes from files alone; those of the catalogue are tested with a warehouse
    "write_architecture": "docs/reference/architecture.svg",
    "write_decisions": "docs/adr/README.md",
    "write_feeds": "docs/reference/feeds.md",
    "write_marts": "docs/reference/marts.md",
}
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SHELL = {"", "sh", "bash"}
INLINE = re.compile(r"(?<!`)`((?:parc|make) [^`]+)`(?!`)")
TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does; a warning (a link that leads nowhere, for one) fails it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-qW", "--keep-going", "-c", "docs", ".", str(folder)]
    built = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_is_on_the_site_and_in_its_search(site: Path) -> None:
    names = {str(page.relative_to(PROJECT).with_suffix("")) for page in PAGES}
    assert {str(page.relative_to(site).with_suffix("")) for page in site.rglob("*.html")} >= names
    index = (site / "searchindex.js").read_text()
    assert all(f'"{name}"' in index for name in names)


def test_the_site_takes_no_asset_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r"""<(?:script|img|link|iframe)\b[^>]*(?:src|href)=["'](?:https?:)?//|@import|url\(["']?http"""
    )
    pages = [page for page in site.rglob("*") if page.suffix in {".html", ".css"}]
    assert [page for page in pages if loaded.search(page.read_text())] == []


@pytest.mark.parametrize(("script", "page"), WRITTEN.items())
def test_written_pages_are_up_to_date(script: str, page: str) -> None:
    text = runpy.run_path(str(PROJECT / "docs" / "scripts" / f"{script}.py"))["text"]()
    assert (PROJECT / page).read_text() == text, f"write it again: .venv/bin/python docs/scripts/{script}.py"


def test_the_changelog_begins_with_the_version() -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    text = (PROJECT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[([\d.]+)\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)[0] == version


def test_the_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_commands_exist(page: Path) -> None:
    text = page.read_text()
    for language, block in BLOCK.findall(text):
        if language in SHELL:
            for command in commands(block):
                check(command)
    for code in INLINE.findall(BLOCK.sub("", text)):
        check_names(code.split())


def commands(block: str) -> Iterator[list[str]]:
    """The `parc` and `make` commands of a block of shell, as words."""
    lines = re.sub(r"(^|\s)#.*$", "", block.replace("\\\n", " "), flags=re.MULTILINE)
    words = shlex.shlex(lines, posix=True, punctuation_chars="|&;\n")
    words.whitespace, words.whitespace_split = " \t", True
    command: list[str] = []
    for word in [*words, "\n"]:
        if word.strip("|&;\n"):
            command.append(word)
            continue
        while command and "=" in command[0]:  # what is set for this command alone
            command = command[1:]
        if command[:2] == ["docker", "compose"] and command[2] in {"exec", "run"}:
            command = ["parc", *command[command.index("owner" if "owner" in command else "parc") + 1 :]]
        if command and Path(command[0]).name in {"parc", "make"}:
            yield [Path(command[0]).name, *command[1:]]
        command = []


def check(command: list[str]) -> None:
    """Fails unless the command line takes the command as it stands, or make has its targets."""
    program, *rest = command
    if program == "make":
        assert {word for word in rest if "=" not in word} <= TARGETS, command
        return
    group, context = get_command(app), None
    while True:
        try:
            context = group.make_context(program, rest, parent=context)  # raises UsageError
        except typer.Exit:  # an option that does its work at once
            return
        if not hasattr(group, "resolve_command"):
            return
        program, group, rest = group.resolve_command(context, [*context._protected_args, *context.args])


def check_names(words: list[str]) -> None:
    """Fails unless the words name a command with these options, or a target of make."""
    program, *rest = words
    if program == "make":
        assert rest[0] in TARGETS, words
        return
    group = get_command(app)
    while hasattr(group, "commands") and rest and rest[0] in group.commands:
        group, rest = group.commands[rest[0]], rest[1:]
    assert not hasattr(group, "commands") or not rest, f"{' '.join(words)}: no such command"
    options = {name for parameter in group.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in rest if word.startswith("--")} <= options | {"--help"}, words
