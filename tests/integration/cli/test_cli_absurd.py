"""Every command and option with well-formed but absurd values: one line or an answer, never a traceback."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from parc.cli import app, main
from parc.cli.night import watching
from parc.nightly import NightStep
from parc.settings import Settings
from parc.warehouse import migrate

DATES = ("0001-01-01", "1582-10-10", "9999-12-31")
INSTANTS = ("0001-01-01T00:00", "9999-12-31T23:59", "0001-01-01T00:00+23:59", "2012-03-25T02:30")
TEXTS = ("", "[/x]", "../..", "nowhere://x", "%s {0} \\", "é\u202e\n\udcff", "x" * 5000)
NUMBERS = ("0", "-1", "9223372036854775808", "1" + "0" * 40, "nan", "inf", "1e300")
ABSURD = (*DATES, *INSTANTS, *TEXTS, *NUMBERS)
# What each command needs to be asked at all.
GIVEN = {
    "nightly": {"--date": "2012-04-25"},
    "simulate": {"--from": "2012-04-25", "--to": "2012-04-25", "--scale": "0.0001"},
    "ingest": {"feed": "calls", "--date": "2012-04-25"},
    "withdraw": {"delivery": "1", "--reason": "test"},
    "check": {"suite": "landing/boutiques", "--date": "2012-04-23"},
    "sql": {"query": "select 1 as one"},
    "quarantine show": {"delivery": "1"},
    "quarantine replay": {"delivery": "1"},
    "routing emergency": {"what": "national"},
    "routing assign": {"number": "0299120001", "--zone": "53"},
    "routing drain": {"site": "RENNES", "--until": "2012-04-30 18:00"},
    "routing explain": {"number": "0299120001", "--at": "2012-04-25 10:00"},
}
# They make an operator or plan a whole release each time: half a second.
SLOW = {"simulate", "routing apply", "routing explain"}
# They start and stop processes; what they are given is nothing but one flag.
PROCESSES = {"up", "stop", "demo", "docs"}


def commands() -> Iterator[tuple[str, Any]]:
    """Every command of the application, by its full name."""

    def walk(group: Any, name: str) -> Iterator[tuple[str, Any]]:
        for each, command in group.commands.items():
            full = f"{name} {each}".strip()
            if hasattr(command, "commands"):
                yield from walk(command, full)
            else:
                yield full, command

    yield from walk(typer.main.get_command(app), "")


COMMANDS = dict(commands())


@pytest.fixture(scope="module")
def platform(released: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A warehouse with some of everything, and a folder to write to."""
    migrate(released)
    within = tmp_path_factory.mktemp("work") / "in" / "it"
    within.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(within)
        # A folder of its own: some commands change what the platform keeps there, keys for one.
        settings = replace(released, home=tmp_path_factory.mktemp("home"))
        patch.setenv("PARC_HOME", str(settings.home))
        patch.setenv("PARC_WAREHOUSE_DSN", released.warehouse_dsn or "")
        patch.setenv("PARC_LANDING", released.landing)
        patch.setenv("PARC_SWITCH", released.switch)
        yield settings


class Ran:
    """What a command printed, and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
        capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["parc", *arguments])
            patch.setattr(sys, "stdin", io.StringIO())  # nobody answers
            with pytest.raises(SystemExit) as ended:
                main()
        self.code = ended.value.code or 0
        self.out, self.err = capsys.readouterr()
        self.what = f"parc {' '.join(arguments)!r}: {self.code}\n{self.out[-2000:]}\n{self.err[-4000:]}"


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - PROCESSES))
def test_absurd_values_end_in_one_line_or_an_answer(
    platform: Settings, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    given = GIVEN.get(name, {})
    takers = [each for each in COMMANDS[name].params if not getattr(each, "is_flag", False)]
    speaks_json = any("--json" in each.opts for each in COMMANDS[name].params)
    for taker in takers:
        for number, value in enumerate((*DATES, *TEXTS[:3]) if name in SLOW else ABSURD):
            json_flag = ["--json"] if speaks_json and number % 2 else []
            chosen = given | {taker.opts[0]: value}
            options = [f"{key}={text}" for key, text in chosen.items() if key.startswith("--")]
            arguments = [text for key, text in chosen.items() if not key.startswith("--")]
            result = Ran(capsys, [*name.split(), *options, *json_flag, "--", *arguments])
            assert result.code in range(9), result.what
            assert "Traceback" not in result.out + result.err and "command.log" not in result.err, result.what
            assert result.out or result.err, result.what
            if json_flag and result.out:
                json.loads(result.out, parse_constant=pytest.fail)


def test_sql_shows_every_column_and_any_name(platform: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    query = 'select sum(a), sum(b), 3 as sum_2, sum(b) as "[/x]" from (values (1, 2)) as given (a, b)'
    names = ["sum", "sum_3", "sum_2", "[/x]"]
    result = Ran(capsys, ["sql", query, "--json"])
    assert json.loads(result.out) == [dict(zip(names, [1, 2, 3, 2], strict=True))]
    assert Ran(capsys, ["sql", query, "--csv"]).out == f"{','.join(names)}\n1,2,3,2\n"
    result = Ran(capsys, ["sql", query])
    assert [each.strip() for each in result.out.splitlines()[1].split("┃")[1:-1]] == names
    assert [each.strip() for each in result.out.splitlines()[3].split("│")[1:-1]] == ["1", "2", "3", "2"]
    assert list(json.loads(Ran(capsys, ["sql", "select 1 as a, 2 as a, 3 as a", "--json"]).out)[0]) == [
        "a",
        "a_2",
        "a_3",
    ]


def test_sql_shows_values_that_neither_python_nor_json_has(
    platform: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {
        "'NaN'::float8": "NaN",
        "'-infinity'::float8": "-Infinity",
        "array[1, 'infinity']::float8[]": [1.0, "Infinity"],
        "'NaN'::numeric": "NaN",
        "date 'infinity'": "infinity",
        "date '10000-01-01'": "10000-01-01",
        "array['-infinity']::timestamptz[]": ["-infinity"],
        "time '24:00'": "24:00:00",
        "date '2012-04-25'": "2012-04-25",
        "timestamptz '2012-04-25 10:00+02'": "2012-04-25T10:00:00+02:00",
        "timestamp '2012-04-25 10:00'": "2012-04-25T10:00:00",
        "1.5::numeric + 1": 2.5,
        "sum(3::bigint)": 3,
        '\'{"a": {"b": 1}}\'::jsonb': {"a": {"b": 1}},
    }
    query = "select " + ", ".join(f"{value} as c{number}" for number, value in enumerate(values))
    [row] = json.loads(Ran(capsys, ["sql", query, "--json"]).out, parse_constant=pytest.fail)
    assert list(row.values()) == list(values.values())
    assert "infinity" in Ran(capsys, ["sql", query, "--csv"]).out
    assert Ran(capsys, ["sql", query]).code == 0


def test_unexpected_errors_give_one_line_and_a_log(
    platform: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Settings) -> None:
        raise RuntimeError("no answer\nfor 02 99 44 55 66")

    monkeypatch.setattr("parc.platform.status.overview", fail)
    result = Ran(capsys, ["status"])
    [line] = result.err.splitlines()
    log = platform.home / "logs" / "command.log"
    assert (result.code, result.out) == (1, "")
    assert line.startswith("parc: RuntimeError: no answer for ") and line.endswith(f"(log: {log})")
    assert "Traceback" in log.read_text()
    assert "44 55" not in line + log.read_text()


def test_long_commands_log_each_step(
    platform: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    days = ["--from=2012-04-25", "--to=2012-04-26"]
    result = Ran(capsys, ["simulate", *days, "--scale=0.0001", f"--out={tmp_path}"])
    assert [line[:4] for line in steps(result)] == ["0/2 ", "1/2 ", "2/2 "]
    result = Ran(capsys, ["ingest", "calls", *days, "--json"])
    assert steps(result) == ["1/2 calls 2012-04-25", "2/2 calls 2012-04-26"]
    assert len(json.loads(result.out)) == 2
    assert "clear_orphans" in steps(Ran(capsys, ["maintain", "--dry-run"]))
    with watching(is_silent=True) as watch:
        for step in ("ingest", "build"):
            for message in ("", "1/9 one", "2/9 two"):
                watch.see(NightStep(step, "running", message))
            watch.see(NightStep(step, "done", ""))
    assert [line[15:] for line in capsys.readouterr().err.splitlines()] == ["ingest", "build"]


def steps(result: Ran) -> list[str]:
    """The progress lines of the command, without the time."""
    return [line[15:] for line in result.err.splitlines() if re.match(r"\d\d:\d\d:\d\d Paris ", line)]
