"""The pseudonym key: a warehouse is only ever loaded with the same one."""

from __future__ import annotations

import hashlib
import hmac
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from parc import quality
from parc.errors import ConfigurationError
from parc.loading import ingest
from parc.platform import doctor
from parc.quality import Verdict
from parc.settings import Settings
from parc.warehouse import connect
from parc.warehouse.connections import Role
from support.deliveries import DAY, as_csv, deliver, ledger, legs, query, raw_tables


@pytest.fixture(autouse=True)
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the suites, which are slow and tested elsewhere."""
    monkeypatch.setattr(quality, "check_delivery", lambda *_: Verdict(passed=True))


def kept(settings: Settings) -> list[tuple[str]]:
    return query(settings, "select fingerprint from ops.pseudonym_key")


def everything(settings: Settings) -> list[object]:
    return [
        query(settings, "select xmin::text, * from ops.delivery"),
        query(settings, "select xmin::text, * from ops.pseudonym_key"),
        query(settings, "select count(*) from ops.quarantine"),
        raw_tables(settings),
    ]


def test_the_first_load_records_only_the_key_fingerprint(warehouse: Settings) -> None:
    assert ingest(warehouse, "calls", DAY).status == "missing"
    assert kept(warehouse) == [], "nothing has been loaded yet"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(20)))
    assert ingest(warehouse, "calls", DAY).status == "published"
    ((fingerprint,),) = kept(warehouse)
    assert len(fingerprint) == 64 and int(fingerprint, 16)
    assert warehouse.pseudonym_secret.decode() not in fingerprint
    assert ingest(warehouse, "calls", DAY).status == "unchanged"
    assert kept(warehouse) == [(fingerprint,)]


@pytest.mark.parametrize("key", ["secret", "a" * 64, "0123456789abcdef0123456789abcde", "password" * 8])
def test_a_new_warehouse_refuses_a_weak_key(
    warehouse: Settings, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(20)))
    monkeypatch.setenv("PARC_PSEUDONYM_SECRET", key)
    with pytest.raises(ConfigurationError, match="too easy to guess, .* at least 32 characters") as refused:
        ingest(warehouse, "calls", DAY)
    assert key not in str(refused.value)
    assert kept(warehouse) == [] and ledger(warehouse) == []
    monkeypatch.setenv("PARC_PSEUDONYM_SECRET", "0123456789abcdef0123456789abcdef")
    assert ingest(warehouse, "calls", DAY).status == "published"


def test_a_weak_key_keeps_working_and_doctor_reports_it(
    warehouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARC_PSEUDONYM_SECRET", "secret")
    with connect(warehouse, "loader") as connection:
        connection.execute(
            "insert into ops.pseudonym_key (fingerprint) values (%s)",
            [hmac.new(b"secret", b"fingerprint of the pseudonym key", hashlib.sha256).hexdigest()],
        )
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(20)))
    assert ingest(warehouse, "calls", DAY).status == "published"
    [check] = [check for check in doctor.checks(warehouse) if check.name == "pseudonym key"]
    assert check.state == "wrong" and "too easy to guess" in check.text


def test_another_key_is_refused_before_reading_or_writing(
    warehouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(20)))
    assert ingest(warehouse, "calls", DAY).status == "published"
    before = everything(warehouse)
    tomorrow = DAY + timedelta(days=1)
    deliver(warehouse, "calls", tomorrow, calls__csv=as_csv(legs(20, tomorrow)))

    with monkeypatch.context() as wrong:
        wrong.setenv("PARC_PSEUDONYM_SECRET", "another key")
        wrong.setattr("parc.loading.ingestion.collect", lambda *_: pytest.fail("it looked at the files"))
        # Published with the right key, new, and not there at all.
        for day in (DAY, tomorrow, DAY + timedelta(days=2)):
            with pytest.raises(
                ConfigurationError,
                match=r"PARC_PSEUDONYM_SECRET is not the key .* since 20\d\d-\d\d-\d\d .* set the "
                r"former one \(if the variable was unset, it is in .*/secrets/pseudonym_secret\), or load",
            ) as refused:
                ingest(warehouse, "calls", day)
            assert "another key" not in str(refused.value).replace("under another key", "")
            assert everything(warehouse) == before

    assert ingest(warehouse, "calls", DAY).status == "unchanged"
    assert ingest(warehouse, "calls", tomorrow).status == "published"


def test_concurrent_first_loads_accept_one_key(warehouse: Settings, tmp_path: Path) -> None:
    days = [DAY, DAY + timedelta(days=1)]
    platforms = [replace(warehouse, home=tmp_path / name) for name in ("one", "other")]
    for day in days:
        deliver(warehouse, "calls", day, calls__csv=as_csv(legs(20, day)))
    start = threading.Barrier(2)
    ends: list[object] = [None, None]

    def run(number: int) -> None:
        start.wait()
        try:
            ends[number] = ingest(platforms[number], "calls", days[number]).status
        except ConfigurationError as error:
            ends[number] = str(error)

    threads = [threading.Thread(target=run, args=[number]) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    (loser,) = (number for number, end in enumerate(ends) if end != "published")
    assert "PARC_PSEUDONYM_SECRET is not the key" in str(ends[loser])
    assert [row[1] for row in ledger(warehouse)] == ["published"]
    assert len(kept(warehouse)) == 1
    assert ingest(platforms[1 - loser], "calls", days[loser]).status == "published"


def test_concurrent_first_loads_with_one_key_agree(warehouse: Settings) -> None:
    """The second waits for the first's uncommitted record, and finds that it has the same key."""
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(20)))
    assert ingest(warehouse, "calls", DAY).status == "published"
    ((fingerprint,),) = kept(warehouse)
    with connect(warehouse, "admin") as connection:
        connection.execute("delete from ops.pseudonym_key")
    tomorrow = DAY + timedelta(days=1)
    deliver(warehouse, "calls", tomorrow, calls__csv=as_csv(legs(20, tomorrow)))
    ends: list[str] = []
    second = threading.Thread(target=lambda: ends.append(ingest(warehouse, "calls", tomorrow).status))
    with connect(warehouse, "loader") as first:
        first.execute("insert into ops.pseudonym_key (fingerprint) values (%s)", [fingerprint])
        second.start()
        second.join(timeout=2)
        assert second.is_alive(), "it waits"
    second.join(timeout=60)
    assert ends == ["published"]
    assert kept(warehouse) == [(fingerprint,)]


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("loader", "update ops.pseudonym_key set fingerprint = 'mine'"),
        ("loader", "delete from ops.pseudonym_key"),
        ("reader", "select * from ops.pseudonym_key"),
        ("transformer", "select * from ops.pseudonym_key"),
        ("exporter", "update ops.pseudonym_key set fingerprint = 'mine'"),
        ("exporter", "insert into ops.pseudonym_key (fingerprint) values ('mine')"),
        ("bi_reader", "select * from ops.pseudonym_key"),
    ],
)
def test_roles_cannot_change_the_fingerprint(warehouse: Settings, role: Role, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), connect(warehouse, role) as connection:
        connection.execute(statement.encode())


def test_there_is_one_key(warehouse: Settings) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation), connect(warehouse, "loader") as connection:
        connection.execute("insert into ops.pseudonym_key (fingerprint) values ('a'), ('b')")


def test_an_outdated_warehouse_schema_is_reported(warehouse: Settings) -> None:
    with connect(warehouse, "admin") as connection:
        connection.execute("drop table ops.pseudonym_key")
    with pytest.raises(ConfigurationError, match=r"older than the platform\n  .*: parc up --no-airflow"):
        ingest(warehouse, "calls", DAY)
