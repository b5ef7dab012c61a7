"""What the commands share: options, dates, tables, JSON, progress."""

from __future__ import annotations

import json
import math
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.markup import render as render_markup
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from parc.host import shell
from parc.instants import iso, time_shown
from parc.printable import printable, printable_json
from parc.settings import Settings

if TYPE_CHECKING:
    from parc.findings import Finding


class _Screen(Console):
    """A console that escapes terminal control characters."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(printable(each) if isinstance(each, str) else each for each in objects), **options)


screen = _Screen(width=None if sys.stdout.isatty() else 200)
stderr = _Screen(stderr=True)

DATE = ["%Y-%m-%d"]
LONGEST_WORD = 32
"""Longer words (digests, paths, rows of a file) may be broken where a table has no room for them."""
TABLE_EDGES, COLUMN_EDGES = "│", " │ "
MOST_CHARACTERS = 240
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
From = Annotated[datetime | None, typer.Option("--from", formats=DATE, help="First business date.")]
To = Annotated[datetime | None, typer.Option("--to", formats=DATE, help="Last business date.")]
AcceptDate = Annotated[
    bool, typer.Option("--accept-date", help="Accept a date however far it is from what is published.")
]
Day = Annotated[datetime | None, typer.Option("--date", formats=DATE, help="Business date.")]


def say(text: str, *, to_stderr: bool = False) -> None:
    """Print a text that may contain untrusted input; `to_stderr` prints to standard error."""
    print(printable(text), file=sys.stderr if to_stderr else sys.stdout, flush=True)


def escape(text: str) -> str:
    """Escape a text that may contain untrusted input, for printing with markup."""
    return escape_markup(printable(text))


def not_blank(text: str) -> str:
    """Refuse a blank value for an option that goes into the audit."""
    if not text.strip():
        raise typer.BadParameter("it goes into the audit: do not leave it blank")
    return text


def date_range(day: datetime | None, first: datetime | None, last: datetime | None) -> list[date]:
    """The dates of `--date D`, or of `--from D --to D`."""
    if (day is None) == (first is None or last is None) or (day is not None and (first or last)):
        raise typer.BadParameter("give the dates: --date D, or --from D --to D")
    start, end = (day, day) if day else (first, last)
    assert start is not None and end is not None
    if end < start:
        raise typer.BadParameter(f"--from {start.date()} is after --to {end.date()}")
    return [start.date() + timedelta(days=offset) for offset in range((end - start).days + 1)]


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on a terminal's standard error; elsewhere one line per step if there are several."""
    if not stderr.is_terminal:
        yield lambda what, done, total: log_step(f"{done}/{total} {what}") if total > 1 else None
        return
    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=stderr, transient=True) as bar:
        task = bar.add_task("", total=None)

        def advance(what: str, done: int, total: int) -> None:
            bar.update(task, description=escape(what), completed=done, total=total)

        yield advance


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner, if standard error is a terminal."""
    with stderr.status(escape(what)):
        yield


@contextmanager
def following() -> Iterator[Callable[[str], None]]:
    """Reports the steps of a long command: as a spinner on a terminal's standard error, else as lines."""
    if not stderr.is_terminal:
        yield log_step
        return
    with stderr.status("") as status:
        yield lambda what: status.update(escape(what))


def log_step(what: str) -> None:
    """Print a log line: the time, and what the command is doing."""
    say(f"{time_shown(datetime.now(UTC))} {what}", to_stderr=True)


def table(title: str | None, rows: Sequence[Mapping[str, Any]], spare: Sequence[str] = ()) -> None:
    """Print rows with the same columns as a table. A narrow terminal leaves out columns of `spare`, the first
    one first."""
    if not rows:
        screen.print(f"{title}: nothing" if title else "(no rows)", markup=False)
        return
    names, left_out = list(rows[0]), []
    for name in spare:
        if _widths(names, [[row[each] for each in names] for row in rows]):
            break
        names.remove(name)
        left_out.append(name)
    if left_out:
        title = f"{title} (a wider terminal also shows: {', '.join(left_out)})"
    grid(title, names, [[row[name] for name in names] for row in rows])


def grid(title: str | None, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under their column names; where words would have to be broken for that, print each row
    vertically."""
    widths = _widths(names, rows)
    if widths is None:
        if title:
            screen.print(escape(title), highlight=False)
        for number, row in enumerate(rows, start=1):
            record = Table(title=f"row {number}", title_justify="left", show_header=False)
            record.add_column(min_width=max(map(cell_len, names)))
            record.add_column(overflow="fold")
            for name, value in zip(names, row, strict=True):
                record.add_row(escape(name), escape(_text(value)))
            screen.print(record)
        return
    whole = Table(title=escape(title) if title else None, title_justify="left")
    for name, width in zip(names, widths, strict=True):
        whole.add_column(escape(name), overflow="fold", width=width)
    for row in rows:
        whole.add_row(*(escape(_text(value)) for value in row))
    screen.print(whole)


def _widths(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[int] | None:
    """How wide each column of a table is on this screen, in characters; None where a word would not fit."""
    columns = list(zip(names, *([printable(_text(value)) for value in row] for row in rows), strict=True))
    lines = [max(cell_len(line) for text in each for line in text.split("\n")) for each in columns]
    words = [max(cell_len(word) for text in each for word in [*text.split(), ""]) for each in columns]
    widths = [min(word, LONGEST_WORD) for word in words]
    room = screen.width - len(TABLE_EDGES) - len(COLUMN_EDGES) * len(names) - sum(widths)
    if room < 0:
        return None
    least_first = sorted(range(len(names)), key=lambda each: lines[each] - widths[each])
    for before, column in enumerate(least_first):
        more = min(lines[column] - widths[column], room // (len(names) - before))
        widths[column] += more
        room -= more
    return widths


def _text(value: object) -> str:
    return "" if value is None else str(value)


def print_findings(findings: Sequence[Finding], airflow: str) -> None:
    """Print what needs attention, errors first, each with its steps and its runbook, then what people
    dismissed; `airflow` is the address of Airflow's UI, empty if it is not known."""
    dismissed = [finding for finding in findings if finding.is_dismissed]
    counting = [finding for finding in findings if not finding.is_dismissed]
    screen.print("Needs attention" if counting else "Nothing needs attention.", highlight=False)
    for finding in sorted(counting, key=lambda each: not each.is_wrong):
        _print_finding("[red]wrong[/]" if finding.is_wrong else "[yellow]note[/] ", finding)
        print_steps(finding, airflow)
    if counting:
        print_shell_function()
        screen.print("  somebody is at one of these: parc acknowledge ID --reason TEXT", highlight=False)
        screen.print("  one of these does not count: parc dismiss ID --reason TEXT", highlight=False)
    if dismissed:
        screen.print("\nDismissed", highlight=False)
    for finding in dismissed:
        _print_finding("     ", finding)
    if dismissed:
        screen.print("  one of these counts after all: parc reopen ID --reason TEXT", highlight=False)
    screen.print()


def print_shell_function() -> None:
    """Print with which function the printed commands work in a shell, where they would not without it."""
    settings = Settings.from_env()
    if shell.is_needed(settings):
        line = f"  In a shell, first: {shell.definition(settings)}"
        screen.print(line, highlight=False, soft_wrap=True, markup=False)


def _print_finding(mark: str, finding: Finding) -> None:
    hanging(f"  {mark} ", f"{finding.subject.name}: {short(finding.text)}")
    if finding.answer:
        hanging(" " * 8, f"{finding.id}: {finding.answer}")


def hanging(head: str, text: str) -> None:
    """Print a text beside `head`, which is markup. On a terminal the text's first line continues below its
    beginning, between words; its other lines (commands) stay whole, for copying."""
    indent = cell_len(render_markup(head).plain)
    first, *others = printable(text).split("\n")
    lines = [first]
    if screen.is_terminal:
        width = max(screen.width - indent, LONGEST_WORD)
        lines = textwrap.wrap(first, width, break_long_words=False, break_on_hyphens=False) or [""]
    screen.print(f"{head}{escape(lines[0])}", highlight=False, soft_wrap=True)
    for line in [*lines[1:], *others]:
        screen.print(f"{' ' * indent}{line}", highlight=False, soft_wrap=True, markup=False)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print facts below each other, each beside its name."""
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        hanging(f"  {name:<{width}}", value)


def print_steps(finding: Finding, airflow: str) -> None:
    """Print the steps that settle a finding, its runbook and its id."""
    for line in (
        *(step.to_text(airflow) for step in finding.steps),
        f"see {finding.kind.runbook}; id {finding.id}",
    ):
        screen.print(textwrap.indent(line, " " * 8), highlight=False, soft_wrap=True, markup=False)


def short(text: str) -> str:
    """A reason as one paragraph, truncated if it is long."""
    words = " ".join(text.split())
    return words if len(words) <= MOST_CHARACTERS else f"{words[:MOST_CHARACTERS]}..."


def dump(value: object) -> None:
    """Print JSON. Decimals are numbers; instants are ISO 8601 with an offset; other values that JSON cannot
    express (dates, NaN) are text."""
    print(
        printable_json(json.dumps(_plain(value), default=str, ensure_ascii=False, indent=2, allow_nan=False))
    )


def _plain(value: object) -> object:
    match value:
        case Decimal() if value.is_finite():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            return iso(value)
        case float() if not math.isfinite(value):
            return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(each) for each in value]
    return value
