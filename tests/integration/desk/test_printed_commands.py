"""Every command that a finding prints is run by a test, as printed, in the situation that prints it."""

from __future__ import annotations

import ast
import os
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from parc import desk, routing
from parc.findings import BUILD, FindingKind
from parc.loading import ingest
from parc.settings import Settings
from parc.warehouse import connect
from support.deliveries import DAY, as_csv, deliver, legs
from support.disks import mounted
from support.printed import run_printed

TESTS = Path(__file__).parents[2]

WITHOUT_COMMANDS = {
    FindingKind.PYTHON: "it takes another Python, and make",
    FindingKind.LANDING_ZONE: "a setting or a folder",
    FindingKind.READER_RIGHTS: "SQL for a superuser, which test_rights.py runs as printed",
    FindingKind.PSEUDONYM_KEY: "openssl, which makes a key",
    FindingKind.FORGOTTEN: "`parc forget --again`, which asks a person to confirm",
    FindingKind.SWITCH: "a setting, or what a dead switch asks for",
    FindingKind.AIRFLOW: "an Airflow that others run",
    FindingKind.REPEATED_IDS: "ask for new ids",
    FindingKind.BACKUP: "`parc backup`, which test_backup.py runs on a server whose log is kept",
    FindingKind.BACKUP_RUN_FAILED: "the same",
}
"""Kinds that print no command of the platform, and what they ask for instead."""


def test_each_kind_is_run_somewhere() -> None:
    """The calls of `run_printed` in the tests, by the kind that they name."""
    runs: dict[str, set[str]] = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="run_printed")):
                    named = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
                    for name in named & set(FindingKind.__members__):
                        runs[name].add(path.name)
    print("\n".join(f"{name}: {', '.join(sorted(paths))}" for name, paths in sorted(runs.items())))
    expected = {kind.name for kind in FindingKind} - {kind.name for kind in WITHOUT_COMMANDS}
    assert set(runs) == expected


def kinds(settings: Settings) -> set[FindingKind]:
    return {finding.kind for finding in desk.findings(settings)}


def test_deliveries(warehouse: Settings) -> None:
    """Missing, refused, interrupted, misdated, with many rows in quarantine; and what is published waits for
    a build."""
    assert ingest(warehouse, "calls", DAY, complete_only=True).status == "missing"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(300)))
    run_printed(warehouse, FindingKind.MISSING, without=BUILD)
    assert kinds(warehouse) == {FindingKind.NOT_BUILT}

    day = DAY + timedelta(days=1)
    deliver(warehouse, "calls", day, calls__csv=b"who\nme\n")
    assert ingest(warehouse, "calls", day).status == "refused"
    deliver(warehouse, "calls", day, calls__csv=as_csv(legs(300, day, 1000)))
    run_printed(warehouse, FindingKind.REFUSED, without=BUILD)
    assert FindingKind.REFUSED not in kinds(warehouse)

    day += timedelta(days=1)
    deliver(warehouse, "calls", day, calls__csv=as_csv(legs(300, day, 2000)))
    with connect(warehouse, "admin") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, rows_read, "
            "rows_published, rows_quarantined, rows_rejected, built_in) values "
            "('calls', %s, 'landed', '[]', '', 0, 0, 0, 0, null), "
            "('boutique_visits', %s, 'published', '[]', '', 100, 51, 49, 49, 1)",
            [day, DAY],
        )
    run_printed(warehouse, FindingKind.INTERRUPTED, without=BUILD)
    run_printed(warehouse, FindingKind.QUARANTINE)
    with connect(warehouse, "admin") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, built_in, "
            "is_misdated) values ('active_lines', '9999-12-31', 'published', '[]', '', 1, true)"
        )
    run_printed(warehouse, FindingKind.MISDATED, without=BUILD)
    assert not kinds(warehouse) & {FindingKind.INTERRUPTED, FindingKind.MISDATED}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_a_small_disk(warehouse: Settings, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 100) as disk:
        run_printed(replace(warehouse, home=disk / "home"), FindingKind.DISK)


def test_a_kill_switch_and_a_hold(warehouse: Settings) -> None:
    routing.disable(warehouse, disabled_by="Anne", reason="works on the line")
    with connect(warehouse, "exporter") as connection:
        connection.execute("insert into ops.routing_hold (event, set_by, reason) values ('set', 'Paul', 'r')")
    run_printed(warehouse, FindingKind.KILL_SWITCH)
    run_printed(warehouse, FindingKind.HOLD)
    assert not kinds(warehouse) & {FindingKind.KILL_SWITCH, FindingKind.HOLD}
