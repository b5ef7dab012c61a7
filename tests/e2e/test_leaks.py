"""Plants numbers, references, names and secrets as unique tokens wherever a delivery, an operator or an
address can hold them, and checks that they are found only where they are declared to be kept."""

from __future__ import annotations

import csv
import gzip
import hashlib
import html
import io
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from parc.feeds import FEEDS, Feed, Keeping, Personal
from parc.host.client import Airflow
from parc.warehouse import connect, logins, parameters
from support.leaks import SPELLED, Hit, Planted, kept, open_to_others, processes, unpacked, unpacked_bytes
from support.running import Platform, approval_request, started, wait

pytestmark = pytest.mark.e2e

Row = dict[str, str]
FIRST, NIGHT = date(2012, 4, 23), date(2012, 4, 24)
LOADED, FAULTY = (NIGHT + timedelta(days=day) for day in (1, 2))
REFUSED = [FAULTY + timedelta(days=day) for day in range(6)]
TEMPORARY = "temporary"
OLD = 3_600
"""Seconds: what was written so long ago is taken as whole."""

DECLARED = (
    # where, which kinds, planted where
    (r"file .*/landing/|the names of files", ".*", ".*"),
    (r"file .*/secrets/", "secret", ".*"),
    (r"file .*/kamailio/kamailio\.cfg", "secret", "kamailio_password|switch_secret"),
    (r"table parc\.routing\.line_assignment|pg_stats", "number", r"line_assignments\.number|urgent"),
    (r"table parc\.routing\.urgent_assignment", "number", "urgent"),
    (r"table switch\..*\.(exceptions|kept_table)", "number", r"line_assignments\.number|urgent"),
    (r"file .*/switch/releases/.*/exceptions\.csv", "number", r"line_assignments\.number|urgent"),
    (r"output of parc routing (assign|explain)", "number", "urgent"),
    (r"output of parc sql", "number", "a query"),
    (r"output of parc up", "secret", "airflow_admin_password"),
    # What an operator typed: of that, numbers alone are masked.
    (r".*", "reference", "^(reason|who)"),
)


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted()


@pytest.fixture(scope="module")
def outputs() -> list[tuple[str, str]]:
    """Everything the platform output: where, and what."""
    return []


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, planted: Planted, outputs: list[tuple[str, str]]
) -> Iterator[Platform]:
    """Two days loaded, built and released, then a day that breaks a build and days that are refused; tokens
    in all of them."""
    variables = {
        "PARC_PSEUDONYM_SECRET": "KeyOfThePseudonyms-4c1b7e0a9d52f863",
        "PARC_SFTP_PASSWORD": "PasswordOfTheSftpServer-8d1f",
        "PARC_NOTICE_URLS": "json://notices:TokenOfTheNotices-77ab@127.0.0.1:9/parc",
        "PARC_BI_READER_PASSWORD": "PasswordOfBi-52cd",
        "PARC_SWITCH": "kamailio" if shutil.which("kamailio", path="/usr/sbin") else "",
    }
    for name, value in variables.items():
        if name != "PARC_SWITCH":
            planted.secret(name, re.sub(r".*?:(Token[^@]*)@.*", r"\1", value))
    home = tmp_path_factory.mktemp("leaks") / "home"
    (home.parent / TEMPORARY).mkdir()
    variables["TMPDIR"] = str(home.parent / TEMPORARY)
    with started(home, "up", **variables) as platform:
        for secret in (home / "secrets").iterdir():
            if secret.suffix != ".json":
                planted.secret(secret.name, secret.read_text())
        for role in logins.ROOMS:
            planted.secret(f"password of {role}", parameters(platform.settings, role)["password"])
        outputs.append(("output of parc up", platform.output))
        deliver(platform, planted)
        work(platform, planted, outputs)
        yield platform


def deliver(platform: Platform, planted: Planted) -> None:
    """Fill the landing zone."""
    done = platform.parc(
        "simulate", "--from", str(FIRST), "--to", str(FAULTY), "--scale", "0.01", "--seed", "5"
    )
    assert done.returncode == 0, done.stderr
    landing = platform.home / "landing"
    sound: dict[str, list[Row]] = {}
    for name, feed in FEEDS.items():
        for folder in sorted((landing / name).iterdir()):
            day = date.fromisoformat(folder.name.removeprefix("date="))
            [file] = [each for each in folder.iterdir() if ".csv" in each.name]
            content = file.read_bytes()
            text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode()
            rows = list(csv.DictReader(io.StringIO(text)))
            sound.setdefault(name, rows)
            if feed.keeping is not Keeping.DAYS or day in (NIGHT, LOADED):
                place = f"{name} of a good day"
                odd = [*masked(feed, rows, planted, place), *rejected(feed, rows, planted, place)]
                write(folder, [*rows, *odd], planted, place)
            elif day == FAULTY:
                place = f"{name} of a refused day"
                write(folder, list(everywhere(feed, rows, planted, place)), planted, place)
    refuse(landing, sound["calls"], planted)
    for path in landing.rglob("*"):
        os.utime(path, (path.stat().st_mtime - OLD,) * 2, follow_symlinks=False)


def masked(feed: Feed, rows: list[Row], planted: Planted, place: str) -> Iterator[Row]:
    """Rows that are published: tokens in the personal columns, and in each column that takes any text."""
    for column in feed.file_columns:
        where = f"{feed.name}.{column.name}, {place}"
        if column.personal is Personal.NUMBER:
            yield new(feed, rows, planted) | {column.name: planted.number(where)}
        elif column.personal:
            yield new(feed, rows, planted) | {column.name: planted.reference(where)}
        elif (column.is_free or column.is_code or column.masked_unless) and column.name not in feed.key:
            names = [] if column.is_free else [f"voir {planted.name(where)}"]  # places bear persons' names
            for text in (planted.number(where), planted.reference(where), *names):
                yield new(feed, rows, planted) | {column.name: text}
            yield new(feed, rows, planted) | {column.name: f"voir {planted.number(where)}, merci"}
            short = planted.short(where)
            references = {
                each.name: short for each in feed.file_columns if each.personal is Personal.REFERENCE
            }
            if references:
                yield new(feed, rows, planted) | references | {column.name: short}


def rejected(feed: Feed, rows: list[Row], planted: Planted, place: str) -> Iterator[Row]:
    """As many rows as may break a rule, with tokens in their columns."""
    most = int(feed.reject_limit * len(rows)) - 1
    yield from list(everywhere(feed, rows, planted, place))[:: max(1, 60 // max(most, 1))][:most]


def everywhere(feed: Feed, rows: list[Row], planted: Planted, place: str) -> Iterator[Row]:
    """A row for each column and each kind of token: good and bad."""
    for column in feed.file_columns:
        where = f"{feed.name}.{column.name}, {place}"
        tokens = [planted.number(where), planted.number(where)]
        if column.name != feed.identifier:  # any text may be an identifier but a number
            tokens.append(planted.reference(where))
        if not column.is_free:
            tokens.append(planted.name(where))
        for token in tokens:
            yield new(feed, rows, planted) | {column.name: token}


def new(feed: Feed, rows: list[Row], planted: Planted) -> Row:
    """A valid row with its own key."""
    filled = max(rows[:500], key=lambda row: sum(map(bool, row.values())))
    serial = next(planted.serial)
    key = {
        "calls": {"call_id": f"{filled.get('call_id', '')[:8]}-9{serial:06d}"},
        "boutique_visits": {"visit_id": f"{filled.get('visit_id', '')[:9]}-9{serial:05d}"},
        "interventions": {"job_id": f"J9{serial:05d}"},
        "boutiques": {"boutique_code": f"ZZ{serial}"},
        "numbering_plan": {"prefix": f"09{serial:04d}"},
        "active_lines": {"month": f"{1900 + serial % 100}-0{1 + serial % 9}"},
        "line_assignments": {"number": f"+3329{serial:07d}"},
    }
    return filled | key[feed.name]


def write(folder: Path, rows: list[Row], planted: Planted, place: str) -> None:
    """Write the rows as the only file of a delivery; its name mentions a person, as does a file beside it."""
    for file in folder.iterdir():
        file.unlink()
    name = f"export_{planted.number(f'file name, {place}')}_{planted.reference(f'file name, {place}')}.csv"
    with (folder / name.replace("/", "-")).open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    (folder / f"note {planted.number(f'file left aside, {place}')}.txt").touch()


def refuse(landing: Path, rows: list[Row], planted: Planted) -> None:
    """Write call deliveries that are refused for reasons other than their rows, and stray folders."""

    def fresh(day: date) -> Path:
        folder = landing / "calls" / f"date={day}"
        folder.mkdir()
        return folder

    header, control, broken, no_gzip, no_header = REFUSED[1:]
    names = [*rows[0], planted.reference("header"), f"tel_{planted.number('header')}"]
    (fresh(header) / "calls.csv").write_text(f"{','.join(names)}\n{',' * (len(names) - 1)}\n")
    folder = fresh(control)
    (folder / "calls.csv").write_text(",".join(rows[0]) + "\n")
    missing = f"{planted.number('control file')}_{planted.reference('control file')}.csv"
    wrong = {"sha256": {missing: planted.number("digest of the control file")}}
    (folder / "_CONTROL.json").write_text(json.dumps(wrong))
    folder = fresh(broken)
    (folder / "calls.csv").write_text(",".join(rows[0]) + "\n")
    (folder / "_CONTROL.json").write_text(f'{{"rows": "{planted.number("broken control file")}"')
    (fresh(no_gzip) / "calls.csv.gz").write_text(f"{planted.number('file that is no gzip')}\n" * 10)
    where = "data for a header"
    personal = [planted.number(where), planted.reference(where), planted.name(where)]
    (fresh(no_header) / "calls.csv").write_text(f"{','.join(personal)}\n")
    for place in ("calls", "."):
        (landing / place / f"date={NIGHT} {planted.number(f'folder in {place}').replace('/', '-')}").mkdir()
        (landing / place / f"calls {planted.reference(f'file in {place}')}.csv").touch()


def work(platform: Platform, planted: Planted, outputs: list[tuple[str, str]]) -> None:
    """Load, build, release, fail."""

    def parc(*arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        done = platform.parc(*arguments)
        shown = "output of parc " + " ".join(arguments[:2])
        outputs.append((shown, done.stdout + done.stderr))
        assert done.returncode in ok, done.stdout + done.stderr
        return done.stdout

    def typed(what: str) -> str:
        return f"pour {planted.number(what)} et {planted.reference(what)}"

    airflow = Airflow(platform.settings)
    airflow.wait_for_dags({"build_marts", "export_routing", "ingest_calls"})
    for dag_id in ("build_marts", "export_routing"):
        airflow.pause(dag_id, True)
    parc("nightly", "--date", str(NIGHT), ok=(7,))
    parc("maintain")  # while no build can be running: the real calendar's begin at night
    parc(
        "routing",
        "apply",
        "--bootstrap",
        "--date",
        str(FIRST),
        "--reason",
        typed("reason of a release"),
        "--by",
        typed("who asks for a release"),
    )
    urgent = planted.number("urgent assignment")
    parc("routing", "assign", urgent, "--zone", "53", "--reason", typed("reason of an assignment"))
    parc("routing", "explain", urgent, "--at", "2012-04-25 10:00", ok=(0, 6))
    parc("routing", "disable", "--reason", typed("reason of the kill switch"))
    parc("routing", "enable", "--reason", typed("reason of the kill switch"))

    days = {"first_date": str(LOADED), "last_date": str(REFUSED[-1])}
    loads = [airflow.trigger(f"ingest_{feed}", **days) for feed in ("calls",)]
    assert [wait(airflow, "ingest_calls", run_id) for run_id in loads] == ["failed"]
    with connect(platform.settings, "loader") as connection:
        connection.execute(
            "insert into raw.calls select * from raw.calls where business_date = %s limit 3", [LOADED]
        )
    airflow.pause("build_marts", False)
    airflow.pause("export_routing", False)
    assert wait(airflow, "build_marts", airflow.trigger("build_marts")) == "failed"
    run_id = airflow.trigger("export_routing")
    airflow.approve(approval_request(platform, airflow, run_id))
    wait(airflow, "export_routing", run_id)

    refused = [
        int(row["delivery_id"])
        for row in platform.sql("select delivery_id from ops.delivery where status = 'refused' order by 1")
    ]
    parc("quarantine", "list")
    for delivery in refused[:2]:
        parc("quarantine", "show", str(delivery))
    parc("quarantine", "replay", str(refused[0]), ok=(4,))
    parc("withdraw", str(refused[-1]), "--reason", typed("reason of a withdrawal"), ok=(0, 1, 2, 4))
    caller = planted.placed("reference", "calls.customer_ref, calls of a good day")
    parc("forget", "--customer", f"C98765{caller}", "--yes", "--reason", typed("reason of a forgetting"))
    finding_id = json.loads(parc("status", "--json"))["findings"][0]["id"]
    parc("acknowledge", finding_id, "--reason", typed("reason of an acknowledgement"))
    parc("status")
    parc("status", "--json")
    parc("doctor", ok=(0, 3))
    parc("check", ok=(0, 1, 4))
    parc("sql", "select * from marts.mart_feed_health", "--csv")
    parc(
        "sql", f"select * from routing.line_assignment where number = '{planted.number('a query')}'", ok=(1,)
    )
    parc("sql", f"select '{planted.number('a query')}'::date", ok=(1,))
    outputs += pages(platform, airflow)


def pages(platform: Platform, airflow: Airflow) -> Iterator[tuple[str, str]]:
    """What a browser is shown."""
    ids = platform.sql("select delivery_id as id from ops.delivery")
    builds = platform.sql("select build_id as id from ops.build")
    paths = ["", "nights", "builds", "releases", "deliveries", "quarantine", "quarantine.csv"]
    paths += ["docs/index.html", "project/page"]
    paths += [f"deliveries/{row['id']}" for row in ids] + [f"builds/{row['id']}" for row in builds]
    for path in paths:
        answer = airflow.http.get(f"/parc/{path}")
        assert answer.status_code == 200, (path, answer.text)
        yield f"page /parc/{path}", answer.text


def test_the_search_finds_planted_data(tmp_path: Path) -> None:
    """Find each kind, in every spelling, in pages, JSON, compressed and as table bytes; and no others."""
    tokens = Planted()
    numbers = [tokens.number("a number") for _ in SPELLED]
    others = [tokens.reference("a reference"), tokens.short("a short one"), tokens.name("a name")]
    tokens.secret("a secret", "S3cret")
    of_number = hashlib.sha256(b"+3329999%d" % 1000).hexdigest()
    for number in numbers:
        for text in (number, f"x{number},", html.escape(number.replace(" ", "\u00a0")), json.dumps(number)):
            assert [hit.planted for hit in tokens.search("", text)] == ["a number"], text
    for text, planted in zip(others, ("a reference", "a short one", "a name"), strict=True):
        assert [hit.planted for hit in tokens.search("", f"({text})".upper())] == [planted]
    digests = (of_number, str(UUID(of_number[:32])))
    assert [hit.kind for text in (*digests, "a S3cret") for hit in tokens.search("", text)] == [
        "digest",
        "digest",
        "secret",
    ]
    for packed in (gzip.compress(others[0].encode()), zlib.compress(others[0].encode()), others[0].encode()):
        assert unpacked(packed) == others[0]
        assert unpacked_bytes(f"1\t\\\\x{packed.hex()}\t2") == others[0]
    assert not list(tokens.search("", "02 99 99 99 99, C987659999, 2012-04-25 QX7-9999 Kerfautraszzzz"))
    in_digits = next(number for number in numbers if number.isdigit())
    assert not list(tokens.search("", f"it took 0.2124540{in_digits}7 s"))


def test_personal_data_is_found_only_where_declared(
    platform: Platform, planted: Planted, outputs: list[tuple[str, str]]
) -> None:
    leaks: dict[str, list[Hit]] = {}
    unused = {*DECLARED}
    temporary = platform.home.parent / TEMPORARY
    for found, text in [*outputs, *kept(platform.settings, temporary), *processes(platform.settings)]:
        for hit in planted.search(found, text):
            places = {
                (where, kinds, planted_at)
                for where, kinds, planted_at in DECLARED
                if re.search(where, hit.found)
                and re.fullmatch(kinds, hit.kind)
                and re.search(planted_at, hit.planted)
            }
            unused -= places
            if not places:
                leaks.setdefault(f"{hit.kind} of {hit.planted}", []).append(hit)
    assert not leaks, "\n".join(f"{len(hits)} x {hits[0]}" for hits in list(leaks.values())[:40])
    of_another_switch = {each for each in DECLARED if re.search("kamailio|switch", each[0])}
    assert unused <= of_another_switch, "the search reaches every place that holds something"


def test_other_users_cannot_read_the_files(platform: Platform) -> None:
    assert open_to_others(platform.settings, platform.home.parent / TEMPORARY) == []
