"""Errors: what they say as text, and that each way out stands in their steps alone."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator

import pytest

from parc.build.nodes import _words
from parc.errors import BuildFailed, Busy, ParcError, parts_of
from parc.findings import BUILD, Step, each_once
from parc.loading.incidents import one_line
from parc.settings import PROJECT

PACKAGE = PROJECT / "plugins" / "parc"
COMMAND = re.compile(r"`?\b(parc [a-z]|make [a-z]+`|openssl |apt-get )")


def test_an_error_says_what_happened_and_then_what_to_do() -> None:
    error = BuildFailed("a test failed", steps=(Step("correct the model"), BUILD))
    assert str(error) == "a test failed\n  correct the model\n  build the marts: parc build"
    assert parts_of(error) == ("a test failed", error.steps)
    assert parts_of(ValueError("else")) == ("else", ())
    assert str(Busy("a build runs")).splitlines() == [
        "a build runs",
        "  see what is running: parc status",
        "  run this again when it has ended",
    ]


def test_texts_hold_no_codes_of_a_terminal() -> None:
    coloured = "\x1b[31mDatabase Error\x1b[0m in \x1b[2Kmodel\x1b[1;36m 7\x1b[0m"
    plain = "Database Error in model 7"
    assert ParcError(coloured).text == str(ParcError(coloured)) == plain
    assert parts_of(ValueError(coloured)) == (plain, ())  # as notices tell it
    assert one_line(ValueError(coloured)) == f"ValueError: {plain}"
    assert _words(coloured) == plain  # as a build keeps it of a model


@pytest.mark.parametrize("error", [BuildFailed("a test failed", steps=(BUILD,)), Busy("a build runs")])
def test_an_error_from_another_process_is_whole(error: ParcError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.text, copy.steps) == (type(error), error.text, error.steps)


def test_steps_are_shown_once() -> None:
    again = Step("or build again", BUILD.command, is_alternative=True)
    assert each_once([BUILD, again, Step("wait"), Step("wait")]) == (BUILD, Step("wait"))


def sentences(source: str) -> Iterator[str]:
    """The sentences of calls that make an error: their first argument, if it is text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Name):
            name = node.func.id
            if name in ERRORS:
                yield "".join(
                    part.value
                    for part in ast.walk(node.args[0])
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                )


def _classes() -> set[str]:
    """The names of all classes of the package that are errors for people."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    found = {ParcError.__name__}
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return found


ERRORS = _classes()


def test_the_search_finds_a_command_in_a_sentence() -> None:
    assert {"Busy", "BuildFailed", "UnreadableFile", "Failed"} <= ERRORS
    [found] = sentences('raise Busy(f"{what} is running: `parc status`", steps=(Step("x", "parc up"),))')
    assert COMMAND.search(found)
    assert list(sentences('Step("build", "parc build")')) == []


def test_no_sentence_of_an_error_holds_a_command() -> None:
    found = {
        f"{path.name}: {sentence}"
        for path in PACKAGE.rglob("*.py")
        for sentence in sentences(path.read_text())
        if COMMAND.search(sentence)
    }
    assert not found
