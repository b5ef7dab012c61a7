"""A person is forgotten for good, and the key of the pseudonyms rotates, while no figure changes."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from parc import privacy, routing
from parc.build import build
from parc.errors import Busy, ConfigurationError
from parc.ledger import locks
from parc.loading import ingest, replay
from parc.loading.pseudonyms import COPY, check_list, forgotten_copy
from parc.privacy import forgetting
from parc.pseudonyms import Pseudonyms, is_surrogate
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect, embedded, migrate
from support.marts import load_everything, marts, rows

FIRST = date(2012, 4, 23)
DAYS = [FIRST + timedelta(days=day) for day in range(4)]
NEXT = DAYS[-1] + timedelta(days=1)
PERSONAL = ("identity_key", "caller_key", "customer_key", "line_key")
LEFT_OUT = {"published_build", "mart_feed_health", "mart_restatements"}
"""Marts about deliveries and builds, not calls."""


def legs(settings: Settings, day: date) -> list[dict[str, str]]:
    path = Path(settings.landing) / "calls" / f"date={day}" / "calls.csv.gz"
    with gzip.open(path, "rt", newline="") as stream:
        return list(csv.DictReader(stream))


def rewrite(settings: Settings, feed: str, day: date, changed: Callable[[str], str]) -> None:
    """Deliver the day again with every line changed."""
    folder = Path(settings.landing) / feed / f"date={day}"
    (folder / "_CONTROL.json").unlink(missing_ok=True)
    for path in folder.glob(f"{feed}.csv*"):
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt") as stream:
            lines = stream.readlines()
        with opened(path, "wt") as stream:
            stream.writelines(map(changed, lines))


def figures(settings: Settings) -> dict[str, Counter[str]]:
    """Every row of every mart without what identifies people."""
    tables = rows(
        settings,
        "select attrelid::regclass::text, string_agg(quote_ident(attname), ', ' order by attnum) "
        "from pg_attribute inner join pg_class on pg_class.oid = attrelid "
        f"where relnamespace = 'marts'::regnamespace and relkind = 'r' and attnum > 0 "
        f"and attname not in {PERSONAL} and not attisdropped group by 1",
    )
    return {
        name: Counter(rows(settings, f"select ({columns})::text from {name}"))  # type: ignore[arg-type]
        for name, columns in tables
        if name.removeprefix("marts.") not in LEFT_OUT
    }


def traces(settings: Settings, *texts: str) -> dict[str, int]:
    """Where the platform's tables and files contain one of these texts, or its pseudonym or identity."""
    pseudonyms = Pseudonyms.of_settings(settings)
    wanted = set(texts)
    for key in map(pseudonyms.of, texts):
        wanted |= {str(key), key.hex, str(int.from_bytes(key.bytes[:8], "big", signed=True))}
    pattern = "|".join(re.escape(text.lstrip("+")) for text in wanted)
    found: Counter[str] = Counter()
    tables = rows(
        settings,
        "select oid::regclass::text from pg_class where relkind = 'r' "
        "and relnamespace::regnamespace::text !~ '^pg_|^information_schema$'",
        "admin",
    )
    with connect(settings, "admin") as connection:
        for table in [*(table for (table,) in tables if table != "ops.forgotten"), "pg_stats"]:
            holding = f"select count(*) from {table} as held where held::text ~ %s"
            [found[table]] = connection.execute(holding, [pattern]).fetchone()
    kept_elsewhere = (Path(settings.landing), settings.home / "postgres")
    for folder in (settings.home, Path(settings.switch)):
        for file in folder.rglob("*"):
            is_other = any(map(file.is_relative_to, kept_elsewhere)) or file.name == COPY
            if file.is_file() and not is_other:
                found[str(file)] += bool(re.search(pattern.encode(), file.read_bytes()))
    return {place: count for place, count in found.items() if count}


@pytest.fixture(scope="module")
def operator(module_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An empty warehouse with its own folder, keys and list."""
    return replace(module_warehouse, home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def person(operator: Settings) -> tuple[str, str]:
    """A customer who called on several days, always from one number that nobody else has, and that is
    assigned to another department."""
    simulate(FIRST, DAYS[-1], scale=0.003, seed=15, out=operator.landing)
    days: dict[str, set[date]] = {}
    numbers: dict[str, set[str]] = {}
    customers: dict[str, set[str]] = {}
    for day in DAYS:
        for leg in legs(operator, day):
            if leg["customer_ref"] and leg["caller_number"].startswith("+33"):
                days.setdefault(leg["customer_ref"], set()).add(day)
                numbers.setdefault(leg["customer_ref"], set()).add(leg["caller_number"])
                customers.setdefault(leg["caller_number"], set()).add(leg["customer_ref"])
    customer = max(
        (each for each in days if len(numbers[each]) == 1 and len(customers[min(numbers[each])]) == 1),
        key=lambda each: len(days[each]),
    )
    assert len(days[customer]) >= 2
    number = min(numbers[customer])
    rewrite(
        operator,
        "line_assignments",
        FIRST,
        lambda line: f"{line}{number},35,moved\n" if line.startswith("number") else line,
    )
    return customer, number


@pytest.fixture(scope="module")
def people(operator: Settings, person: tuple[str, str]) -> Settings:
    """Four days built and on the switch, the number also assigned by hand; the tests build on each other."""
    load_everything(operator, DAYS)
    for feed in ("boutiques", "boutique_visits", "interventions"):
        for day in DAYS:
            ingest(operator, feed, day)
    build(operator)
    routing.apply(operator, DAYS[-1], requested_by="Anne", reason="first", bootstrap=True)
    routing.assign(operator, person[1], "53", requested_by="Anne", reason="moved")
    return operator


@pytest.fixture(scope="module")
def before(people: Settings, person: tuple[str, str]) -> dict[str, Counter[str]]:
    with connect(people, "admin") as connection:  # as `parc maintain` does, of every value
        connection.execute("alter table raw.calls alter customer_key set statistics 10000")
        connection.execute("analyze raw.calls")
    assert "pg_stats" in traces(people, *person)
    assert len(traces(people, *person)) > 7
    return figures(people)


@pytest.fixture(scope="module")
def dump(people: Settings, before: object, copy_of: Callable[[Settings], Settings]) -> Iterator[Settings]:
    """The warehouse as it was before anybody was forgotten."""
    yield copy_of(people)


def test_forgetting_waits_for_running_loads_and_nobody_is_reloaded(
    people: Settings, person: tuple[str, str], dump: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, _ = person
    monkeypatch.setattr(forgetting, "PATIENCE_SECONDS", 0.1)
    lock = locks.of_load("calls", NEXT)
    with (
        connect(people, "loader", autocommit=True) as loader,
        locks.held(loader, lock, "busy"),
        pytest.raises(Busy, match=rf"load calls {NEXT} is running(.|\n)*run this again"),
    ):
        privacy.forget(people, customers=[customer], requested_by="Anne", reason="article 17")
    kinds = rows(people, "select kind from ops.forgotten order by 1", "admin")
    assert kinds == [("customer",), ("number",)], "the number is this customer's alone"
    simulate(NEXT, NEXT, scale=0.003, seed=15, out=people.landing)
    theirs = next(leg for leg in legs(people, NEXT) if leg["customer_ref"])
    rewrite(
        people,
        "calls",
        NEXT,
        lambda line: line.replace(theirs["customer_ref"], customer) if theirs["call_id"] in line else line,
    )
    outcome = ingest(people, "calls", NEXT)
    assert outcome.status == "published", outcome.message
    assert str(NEXT) not in " ".join(place for place in traces(people, *person) if place.startswith("raw."))


def test_a_person_is_forgotten_everywhere(
    people: Settings, person: tuple[str, str], before: dict[str, Counter[str]]
) -> None:
    customer, number = person
    spelled = f"0{number[3:5]} {number[5:]}"
    done = privacy.forget(
        people, customers=[f" {customer} "], numbers=[spelled], requested_by="Anne", reason="article 17"
    )
    assert done.pseudonym_counts == {"customer": 1, "number": 1}
    assert {"raw.calls", "marts.fct_calls", "routing.line_assignment"} <= done.row_counts.keys()
    assert traces(people, *person) == {}
    assert figures(people) == before
    assert len(done.files.holding) >= 4 and "line_assignments/" in " ".join(done.files.holding)
    assert done.files.unreadable == ()

    assert pointer(people)["version"] == done.version
    assert routing.verify(people).is_ok
    [(event, by, counts)] = rows(people, "select event, requested_by, row_counts from ops.forgetting")
    assert (event, by, counts) == ("forgotten", "Anne", done.row_counts)
    surrogates = rows(
        people, "select distinct customer_key from marts.fct_calls where customer_key is not null"
    )
    assert sum(is_surrogate(key) for (key,) in surrogates) == 1, "one person stays one person"


def pointer(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(settings.switch) / "current.json").read_text())
    return found


def test_the_switch_does_not_go_back_to_a_table_with_the_number(
    people: Settings, person: tuple[str, str]
) -> None:
    assert pointer(people)["previous"] != pointer(people)["version"]
    routing.rollback(people, requested_by="Anne", reason="a try")
    routing.release_hold(people, released_by="Anne", reason="a try")
    assert traces(people, *person) == {}


def test_forgetting_again_finds_only_files(people: Settings, person: tuple[str, str]) -> None:
    customer, number = person
    live = pointer(people)
    folder = Path(people.landing) / "line_assignments"
    stray = folder / "date=20120423" / "sent_again.csv"  # never loaded, and with the number alone
    stray.parent.mkdir()
    stray.write_text(f"number,department_code,reason\n{number},35,moved\n")
    (folder / "numbers.xlsx").touch()
    left = people.home / "copies" / "calls" / f"{FIRST}_dead" / "calls.csv"
    left.parent.mkdir(parents=True)
    left.write_text(number)
    orphan = Path(people.switch) / "releases" / "00009999-killed" / "exceptions.csv"
    orphan.parent.mkdir()
    orphan.write_text(f"number,zone_code\n{number},53\n")

    again = privacy.forget(
        people, customers=[f"{customer}\u200b"], requested_by="Anne", reason=f"again, {customer}"
    )
    assert again.pseudonym_counts == {"customer": 1, "number": 1}, "the number is of the same person still"
    assert (again.row_counts, again.version, pointer(people)) == ({}, None, live)
    assert {f"line_assignments/date={FIRST}/line_assignments.csv", str(stray.relative_to(people.landing))} < {
        *again.files.holding
    }
    assert again.files.unreadable == ("line_assignments/numbers.xlsx",)
    assert traces(people, *person) == {}, "nor in what killed runs left, nor in the reason"
    stray.unlink()
    stray.parent.rmdir()
    (folder / "numbers.xlsx").unlink()


def test_a_shared_number_is_forgotten_with_its_last_customer(people: Settings) -> None:
    called = [leg for leg in legs(people, DAYS[2]) if leg["customer_ref"]]
    theirs = {leg["customer_ref"]: leg["caller_number"] for leg in called}
    (one, number), (other, its_number) = [each for each in theirs.items() if each[1].startswith("+33")][:2]
    rewrite(people, "calls", DAYS[2], lambda line: line.replace(its_number, number))
    assert ingest(people, "calls", DAYS[2]).status == "published"
    first = privacy.forget(people, customers=[one], requested_by="Anne", reason="article 17")
    assert "number" not in first.pseudonym_counts
    second = privacy.forget(people, customers=[other], requested_by="Anne", reason="article 17")
    assert second.pseudonym_counts["number"] >= 1
    assert traces(people, one, other, number) == {}


def test_nothing_brings_the_person_back(people: Settings, person: tuple[str, str]) -> None:
    customer, _ = person
    build(people)
    before = figures(people)
    for (delivery_id,) in rows(
        people,
        "select delivery_id from ops.delivery where status = 'published' "
        "and feed in ('calls', 'interventions')",
    ):
        outcome = replay(people, delivery_id)
        assert outcome.status == "published", outcome.message
        assert not outcome.rows_read or "0 rows added, 0 removed, 0 altered" in outcome.message
    rewrite(people, "line_assignments", FIRST, lambda line: line.replace(",moved", ",ported"))
    outcome = ingest(people, "line_assignments", FIRST)
    assert outcome.status == "published", outcome.message
    assert traces(people, *person) == {}
    build(people)
    assert traces(people, *person) == {}
    assert figures(people) == before

    day = next(day for day in DAYS if any(leg["customer_ref"] == customer for leg in legs(people, day)))
    rewrite(people, "calls", day, lambda line: line.replace(",LINE_FAULT,", ",OTHER,"))
    assert ingest(people, "calls", day).status == "published"
    assert traces(people, *person) == {}


def test_a_full_refresh_gives_the_same_marts(
    people: Settings, copy_of: Callable[[Settings], Settings]
) -> None:
    build(people)
    rebuilt = copy_of(people)
    build(rebuilt, full_refresh=True)
    incremental, refreshed = marts(people), marts(rebuilt)
    assert {name for name in refreshed if refreshed[name] != incremental[name]} == set()


def test_a_restored_dump_forgets_again(people: Settings, person: tuple[str, str], dump: Settings) -> None:
    assert len(traces(dump, *person)) > 4
    with (
        connect(dump, "loader") as connection,
        pytest.raises(ConfigurationError, match="parc forget --again"),
    ):
        check_list(connection, dump)
    with connect(people, "admin") as connection:  # the switch went on, its record too
        releases = connection.execute("select max(fence) from ops.routing_release").fetchone()
    with connect(dump, "admin") as connection:
        connection.execute("select setval('ops.routing_fence', %s)", releases)
    routing.apply(dump, DAYS[-1], requested_by="Anne", reason="restored", drift="adopt")
    done = privacy.forget_again(dump, requested_by="Anne", reason="restored")
    assert done.row_counts["raw.calls"] > 0
    assert traces(dump, *person) == {}
    with connect(dump, "loader") as connection:
        known = check_list(connection, dump)
        assert known == f"{len(forgotten_copy(dump))} pseudonyms are forgotten"
    with connect(dump, "admin") as connection:  # whoever does not say --again loses nobody either
        connection.execute("delete from ops.forgotten where kind = 'customer'")
    privacy.forget(dump, customers=["nobody"], requested_by="Anne", reason="article 17")
    with connect(dump, "loader") as connection:
        count = int(known.split()[0]) + 1
        assert check_list(connection, dump) == f"{count} pseudonyms are forgotten"


def test_a_copy_of_the_list_that_is_damaged_is_reported(people: Settings) -> None:
    copy = people.home / COPY
    text = copy.read_text()
    for damaged in ("", text[: len(text) // 2], "[]", '{"fingerprint": 1}'):
        copy.write_text(damaged)
        with pytest.raises(ConfigurationError, match="is damaged"):
            forgotten_copy(people)
    copy.write_text(text)


def test_a_request_without_a_person_is_refused(people: Settings) -> None:
    for whom in ({}, {"customers": [" "]}, {"numbers": ["12"]}):
        with pytest.raises(forgetting.NoPersonGiven):
            privacy.forget(people, requested_by="Anne", reason="", **whom)  # type: ignore[arg-type]


def test_rotation_keeps_the_identity_of_people(
    people: Settings, person: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pseudonyms = Pseudonyms.of_settings(people)
    some = next(leg["customer_ref"] for leg in legs(people, DAYS[0]) if leg["customer_ref"])
    figures_before, former = figures(people), pseudonyms.of(some)
    same_person = rows(
        people, f"select call_id from marts.fct_calls where customer_key = '{former}' order by 1"
    )
    assert same_person
    done = privacy.rotate(people, requested_by="Anne", reason="a leak")
    assert done.pseudonym_count > 100 and done.row_counts["marts.fct_calls"] > 100
    assert not (people.home / "secrets" / "pseudonym_outer_key_next").exists()
    renewed = Pseudonyms.of_settings(people)
    assert renewed.outer_key and renewed.of(some) != former
    query = "select call_id from marts.fct_calls where customer_key = '{}' order by 1"
    assert rows(people, query.format(former)) == []
    assert rows(people, query.format(renewed.of(some))) == same_person
    assert figures(people) == figures_before

    [(delivery_id,)] = rows(
        people,
        "select delivery_id from ops.delivery "
        f"where feed = 'calls' and business_date = '{DAYS[0]}' and status = 'published'",
    )
    assert replay(people, delivery_id).status == "published"
    build(people)
    assert figures(people) == figures_before
    assert traces(people, *person) == {}, "who was forgotten before stays so under the new key"

    with connect(people, "admin") as connection:  # as in a dump from before
        connection.execute("delete from ops.forgotten where kind = 'customer'")
    privacy.rotate(people, requested_by="Anne", reason="again")
    assert Pseudonyms.of_settings(people).of(person[0]) in forgotten_copy(people)
    with connect(people, "loader") as connection, pytest.raises(ConfigurationError, match="--again"):
        check_list(connection, people)
    assert rows(people, query.format(Pseudonyms.of_settings(people).of(some))) == same_person
    monkeypatch.setenv("PARC_PSEUDONYM_OUTER_KEY", (renewed.outer_key or b"").decode())
    with pytest.raises(ConfigurationError, match="not the key that this warehouse"):
        ingest(people, "calls", DAYS[0])


def test_an_interrupted_rotation_is_resumed(people: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    figures_before = figures(people)
    key = people.home / "secrets" / "pseudonym_outer_key"
    kept = key.read_text()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # after the warehouse has it, before the file is in place
        patch.setattr("parc.privacy.rotation.vacuum", killed)
        with pytest.raises(KeyboardInterrupt):
            privacy.rotate(people, requested_by="Anne", reason="a leak")
    assert key.read_text() == kept
    with pytest.raises(ConfigurationError, match="secret rotate"):
        ingest(people, "calls", DAYS[0])
    done = privacy.rotate(people, requested_by="Anne", reason="a leak")
    assert done.pseudonym_count == 0 and key.read_text() != kept
    assert ingest(people, "calls", DAYS[0]).status == "unchanged"
    assert figures(people) == figures_before


def test_an_external_key_is_replaced_by_its_given_successor(
    people: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = people.home / "secrets" / "pseudonym_outer_key"
    monkeypatch.setenv("PARC_PSEUDONYM_OUTER_KEY", key.read_text())
    with pytest.raises(ConfigurationError, match="PARC_PSEUDONYM_OUTER_KEY_NEXT"):
        privacy.rotate(people, requested_by="Anne", reason="a leak")
    monkeypatch.setenv("PARC_PSEUDONYM_OUTER_KEY_NEXT", "0123456789abcdef" * 4)
    assert privacy.rotate(people, requested_by="Anne", reason="a leak").is_given
    monkeypatch.setenv("PARC_PSEUDONYM_OUTER_KEY", "0123456789abcdef" * 4)
    assert ingest(people, "calls", DAYS[0]).status == "unchanged"


def test_the_embedded_server_keeps_no_byte_of_a_number(tmp_path: Path, open_folder: Path) -> None:
    settings = Settings(home=open_folder, landing=str(tmp_path), switch=str(tmp_path / "switch"))
    number = "+33299887766"
    embedded.start(settings)
    try:
        migrate(settings)
        with connect(settings, "loader") as connection:
            columns = "number, department_code, reason, valid_from"
            connection.execute(
                f"insert into routing.line_assignment ({columns}) values (%s, '35', 'moved', %s)",
                [number, FIRST],
            )
            connection.execute("analyze routing.line_assignment")
        done = privacy.forget(settings, numbers=[number], requested_by="Anne", reason="article 17")
        assert done.row_counts == {"routing.line_assignment": 1}
        held = [file for file in settings.home.rglob("*") if file.is_file()]
        assert len(held) > 1_000
        assert [file for file in held if number[1:].encode() in file.read_bytes()] == []
    finally:
        embedded.stop(settings)
