"""The command line as people and scripts use it: messages, JSON, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from parc.errors import ConfigurationError
from parc.settings import Settings
from parc.warehouse import connect, logins, parameters
from support.command_line import environment, parc
from support.deliveries import DAY, as_csv, deliver, legs


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ingest", "calls"], 2, "--from D --to D"),
        (["ingest", "calls", "--date", "25/04/2012"], 2, "does not match"),
        (["ingest", "calls", "--from", "2012-04-26", "--to", "2012-04-25"], 2, "is after"),
        (
            ["ingest", "calls", "--from", "1990-01-01", "--to", "2099-12-31", "--accept-date"],
            2,
            "40,177 dates",
        ),
        (["ingest", "letters", "--date", "2012-04-25"], 2, "letters"),
        (["ingest", "calls", "--date", "2012-04-25"], 4, "calls 2012-04-25"),
        (["sql", "select * from nowhere"], 1, "nowhere"),
        (["sql", "delete from ops.delivery"], 1, "read-only"),
        (["sql", "select * from routing.line_assignment"], 1, "permission denied"),
        (["routing", "plan", "--date", "2012-04-24"], 3, "parc build"),
        (["routing", "rollback"], 6, "release"),
    ],
)
def test_errors_give_one_message_and_an_exit_code(
    warehouse: Settings, arguments: list[str], code: int, message: str
) -> None:
    done = parc(warehouse, *arguments)
    output = done.stdout + done.stderr
    assert (done.returncode, message in output) == (code, True), output
    assert "Traceback" not in output


def test_unreachable_warehouse(warehouse: Settings) -> None:
    done = parc(warehouse, "status", PARC_WAREHOUSE_DSN="postgresql://x@127.0.0.1:1/x")
    assert done.returncode == 3
    assert "127.0.0.1:1/x cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_sql_speaks_csv_and_json(warehouse: Settings) -> None:
    query = "select 'é,\"' as text, null as nothing, date '2012-04-25' as day"
    rows = list(csv.DictReader(io.StringIO(parc(warehouse, "sql", query, "--csv").stdout)))
    assert rows == [{"text": 'é,"', "nothing": "", "day": "2012-04-25"}]
    assert json.loads(parc(warehouse, "sql", query, "--json").stdout) == [
        {"text": 'é,"', "nothing": None, "day": "2012-04-25"}
    ]


@pytest.mark.parametrize("form", ["", "--csv", "--json"])
def test_untrusted_text_cannot_control_the_terminal(warehouse: Settings, form: str) -> None:
    query = (
        "select E'\\x1b]0;owned\\x07' as \"a\x1b[31m\", U&'abc\\202Edcba' as b, E'\\u009b31m' as c, "
        "'=cmd|'' /C calc''!A0' as d, E'\\r=1' as e"
    )
    done = parc(warehouse, "sql", query, *filter(None, [form]))
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout) & set("\x1b\x07\x9b\u202e\r")
    assert "\\u202e" in done.stdout and ("'=cmd" in done.stdout) == (form == "--csv")
    refused = parc(warehouse, "sql", 'select 1/0 as "\x1b[2J\u202e" from nowhere_\u202e')
    assert refused.returncode == 1 and not set(refused.stderr) & set("\x1b\u202e")


def test_quarantined_rows_are_shown_without_control_characters(warehouse: Settings, tmp_path: Path) -> None:
    bad = legs(300)
    bad[7] |= {"market": "f\x1b[8max", "call_id": "\u202elliib"}
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(bad))
    loaded = parc(warehouse, "ingest", "calls", "--date", str(DAY))
    assert loaded.returncode == 0 and "1 quarantined" in loaded.stdout
    shown = parc(warehouse, "quarantine", "show", "1")
    for output in (loaded.stdout, loaded.stderr, shown.stdout):
        assert not set(output) & set("\x1b\u202e"), output
    assert "\\u202e" in shown.stdout


def test_files_are_private_to_the_platform_user(open_folder: Path) -> None:
    """Whatever the caller's umask: logs, pages, copies; its own server is still reachable."""
    home = open_folder / "home"
    settings = Settings(home=home, landing=str(home / "landing"), switch=str(home / "switch"))
    own = {name: value for name, value in environment(settings).items() if value}
    command = str(Path(sys.executable).with_name("parc"))

    def run(*arguments: str) -> None:
        subprocess.run(
            [command, *arguments], env=os.environ | own, check=True, capture_output=True, umask=0o022
        )

    try:
        run("up", "--no-airflow")
        deliver(settings, "calls", DAY, calls__csv=as_csv(legs(300)))
        run("ingest", "calls", "--date", str(DAY))
        run("check", "landing/calls", "--date", str(DAY))
    finally:
        run("stop")
    assert (home / "data_docs" / "index.html").exists()
    seen = [path for path in home.rglob("*") if not path.is_relative_to(home / "landing")]
    for path in (home, *seen):
        mode = path.lstat().st_mode & 0o077
        assert path.is_symlink() or mode == 0 or (path == home and mode == 0o011), (path, oct(mode))


def test_sql_sees_the_ledger(warehouse: Settings) -> None:
    done = parc(warehouse, "sql", "select count(*) as deliveries from ops.delivery", "--json")
    assert json.loads(done.stdout) == [{"deliveries": 0}]


def test_doctor_names_the_remedy(warehouse: Settings) -> None:
    with connect(warehouse, "admin") as connection:
        connection.execute("insert into ops.pseudonym_key (fingerprint) values ('that of another key')")
    done = parc(warehouse, "doctor", "--json", PARC_LANDING=f"{warehouse.landing}/nowhere")
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 3
    assert checks["airflow"]["is_ok"] and "not started" in checks["airflow"]["finding"]
    assert checks["warehouse"]["is_ok"] and checks["schema"]["is_ok"]
    assert "does not exist" in checks["landing zone"]["finding"]
    assert "PARC_LANDING" in checks["landing zone"]["command"]
    assert "PARC_PSEUDONYM_SECRET" in checks["pseudonym key"]["finding"]


def test_doctor_without_a_warehouse(warehouse: Settings) -> None:
    done = parc(warehouse, "doctor", "--json", PARC_WAREHOUSE_DSN="postgresql://x@127.0.0.1:1/x")
    states = {check["name"]: check["state"] for check in json.loads(done.stdout)}
    assert done.returncode == 3
    assert states == {
        "python": "ok",
        "landing zone": "ok",
        "warehouse": "wrong",
        "airflow": "ok",
        "backups": "ok",
    }


def test_only_up_needs_the_database_owner(warehouse: Settings, tmp_path: Path) -> None:
    """As in docker-compose.yml: an address without a login, and the passwords of the rooms in files."""
    dsn = "host={host} port={port} dbname={dbname}".format(**parameters(warehouse, "admin"))
    passwords = {}
    for role in logins.ROOMS:
        file = tmp_path / role
        file.write_text(f"{parameters(warehouse, role)['password']}\n")
        passwords[f"PARC_{role.upper()}_PASSWORD_FILE"] = str(file)
    with pytest.raises(ConfigurationError), connect(replace(warehouse, warehouse_dsn=dsn), "admin"):
        pass
    for command in (["doctor"], ["status"], ["sql", "select 1"], ["build"]):
        done = parc(warehouse, *command, PARC_WAREHOUSE_DSN=dsn, **passwords)
        assert done.returncode == 0, done.stdout + done.stderr
    done = parc(
        warehouse, "status", PARC_WAREHOUSE_DSN=dsn, **(passwords | {"PARC_READER_PASSWORD_FILE": ""})
    )
    assert done.returncode == 3 and "as reader" in done.stderr


def test_status_begins_with_what_needs_attention(warehouse: Settings) -> None:
    with connect(warehouse, "loader") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, reason) "
            "values ('calls', '2012-04-25', 'refused', '[]', '', 'calls.csv: lacks column `market`')"
        )
    output = parc(warehouse, "status").stdout.splitlines()
    assert re.match(r"  In a shell, first: parc\(\) \{ PARC_HOME=", output.pop(6))
    assert [re.sub("id [0-9a-f]{8}$", "id ID", line) for line in output[:8]] == [
        "Needs attention",
        "  wrong calls 2012-04-25: refused: calls.csv: lacks column `market`",
        "        have it sent again",
        "        load it: parc ingest calls --date 2012-04-25",
        "        build the marts: parc build",
        "        see docs/runbooks/refused.md; id ID",
        "  somebody is at one of these: parc acknowledge ID --reason TEXT",
        "  one of these does not count: parc dismiss ID --reason TEXT",
    ]
    assert any(line.startswith("Due for the night of 2012-04-25") for line in output)


def test_a_finding_is_dismissed_by_its_id(warehouse: Settings) -> None:
    with connect(warehouse, "loader") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, reason) "
            "values ('calls', '2012-04-25', 'refused', '[]', '', 'half a day')"
        )
    [finding_id] = re.findall("; id (.*)", parc(warehouse, "status").stdout)
    because = ("--reason", "of the test system", "--by", "Anne")
    late = parc(warehouse, "dismiss", finding_id, *because, "--until", "2012-04-25T10:00")
    assert late.returncode == 2 and "is past" in late.stderr
    done = parc(warehouse, "acknowledge", finding_id, *because, "--until", "2098-01-01T10:00")
    assert done.returncode == 0, done.stderr
    said = "by Anne until 2098-01-01 10:00 Paris: of the test system"
    assert done.stdout == f"calls 2012-04-25: acknowledged {said}\n"
    assert parc(warehouse, "dismiss", finding_id, *because).returncode == 0
    output = parc(warehouse, "status").stdout
    assert output.startswith("Nothing needs attention.\n\nDismissed\n")
    assert "  calls 2012-04-25: refused: half a day\n" in output
    assert f"{finding_id}: dismissed by Anne until" in output
    assert parc(warehouse, "reopen", finding_id, *because).returncode == 0
    assert parc(warehouse, "status").stdout.startswith("Needs attention\n")
    unknown = parc(warehouse, "dismiss", "00000000", *because)
    assert unknown.returncode == 1 and "parc status" in unknown.stderr


def test_status_as_json(warehouse: Settings) -> None:
    with connect(warehouse, "admin") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, rows_read, "
            "rows_published) values ('calls', '2012-04-25', 'published', '[]', '', 3, 3)"
        )
        connection.execute(
            "insert into ops.build (status, is_full_refresh, started_at) "
            "values ('failed', false, '2012-04-26 02:00Z')"
        )
    done = parc(warehouse, "status", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"findings", "due", "processes", "feeds", "builds", "routing"} <= set(found)
    assert found["builds"][0]["started_at"] == "2012-04-26T04:00:00+02:00"
    [calls] = [each for each in found["feeds"] if each["feed"] == "calls"]
    assert (calls["published_days"], calls["rows_published"]) == (1, 3)
    texts = re.findall(r': "(.*)"', done.stdout)
    assert not [text for text in texts if re.fullmatch(r"[\d.,]+", text)], "numbers are numbers"
    instants = [text for text in texts if re.match(r"\d{4}-\d\d-\d\d[T ]", text)]
    assert len(instants) > 1 and all(datetime.fromisoformat(text).tzinfo for text in instants)
    assert all("T" in text for text in instants)


def test_demo_refuses_a_real_landing_zone(warehouse: Settings) -> None:
    done = parc(warehouse, "demo")
    assert done.returncode == 3
    assert "PARC_LANDING is set" in done.stderr
