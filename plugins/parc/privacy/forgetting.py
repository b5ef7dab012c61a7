"""Forgets a person: nothing stored leads to them any more, and no load brings them back.

The steps, each of which may be interrupted and repeated:

1. the pseudonyms are added to the list `ops.forgotten`: from now on no load lets them in;
2. loads that began earlier end and builds wait; a copy of the list goes to the platform's own folder, because
   an older dump of the warehouse does not have it;
3. in one transaction, each pseudonym is replaced everywhere by a random surrogate, and the numbers are
deleted
   from the tables from which the switch's are made; then the tables are vacuumed;
4. the switch gets its table without the numbers, and forgets the tables that had them;
5. the record of releases follows.

A customer's lines and numbers are forgotten too if they occur with no other customer, forgotten ones aside.
They stay together on the list: naming one of them again names them all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import polars as pl
from psycopg import Connection, sql
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from parc import routing
from parc.errors import Busy, ConfigurationError, ParcError, RoutingRefused
from parc.findings import Step
from parc.host import backups
from parc.ledger import locks, people, write_people
from parc.ledger.people import ForgottenPseudonym
from parc.loading.blocks import WHITE_SPACE
from parc.loading.landing import clear_copies
from parc.loading.pseudonyms import COPY, check_key, forgotten_copy
from parc.numbers import MASK, e164, remark
from parc.privacy import files
from parc.privacy.files import FileSearch
from parc.pseudonyms import SURROGATES, Pseudonyms, surrogate
from parc.settings import Settings
from parc.warehouse import connect, embedded, persons
from parc.warehouse.partitions import Table

PATIENCE_SECONDS = 300.0
"""How long to wait for loads that began before the person was forgotten."""

CUSTOMER, NUMBER, LINE = "customer", "number", "line"
COLUMNS = {CUSTOMER: "customer_key", NUMBER: "caller_key", LINE: "line_key"}

_URGENT = """
insert into routing.urgent_assignment (number, zone_code, set_by, reason)
select number, null, %s, 'forgotten' from routing.urgent_zone where number = any (%s)
"""


@dataclass(frozen=True)
class ForgettingResult:
    """What was done: pseudonyms by kind, rows written by table, the version that the switch got (None: it had
    no such number), and the files in the landing zone that hold, or held until deleted, the person."""

    pseudonym_counts: dict[str, int]
    row_counts: dict[str, int]
    version: str | None
    files: FileSearch
    are_deleted: bool


def forget(
    settings: Settings,
    *,
    customers: Collection[str] = (),
    numbers: Collection[str] = (),
    requested_by: str,
    reason: str,
    delete_files: bool = False,
) -> ForgettingResult:
    """Forget one person, given by customer references and telephone numbers in any spelling.

    `delete_files` deletes the landing zone's files that hold the person, and everybody else in them. Running
    this again completes what an earlier run did not finish.

    Raises ConfigurationError if a number is invalid, or the warehouse has another pseudonym key than the
    settings; Busy while loads, a build or a release are running (the person is then already on the list, and
    no load lets them in); RoutingRefused if the switch refuses its table after the warehouse is done.
    """
    references = [text.strip(WHITE_SPACE + "\n") for text in customers]
    texts = {(CUSTOMER, text) for text in references} | {(NUMBER, _e164(text)) for text in numbers}
    if not texts or any(not text for _, text in texts):
        raise NoPersonGiven("say whom to forget: give a customer's reference or a telephone number")
    pseudonyms = Pseudonyms.of_settings(settings)
    kinds = {pseudonyms.of(text): kind for kind, text in texts}
    for text in sorted(references, key=len, reverse=True):
        requested_by, reason = requested_by.replace(text, MASK), reason.replace(text, MASK)
    with connect(settings, "admin") as connection:
        check_key(connection, settings)
        known = _known(connection, kinds)
    return _forget(settings, known, requested_by, reason, delete_files=delete_files)


def forget_again(settings: Settings, *, requested_by: str, reason: str) -> ForgettingResult:
    """Forget everybody on the platform's own copy of the list again, after restoring a dump.

    Raises the same errors as `forget`, and ConfigurationError if the copy was made with other keys.
    """
    known = forgotten_copy(settings)
    if not known:
        raise ConfigurationError(f"nobody was forgotten here: {settings.home / COPY} is empty or missing")
    return _forget(settings, known, requested_by, reason, delete_files=False)


def forget_restored(
    settings: Settings,
    open_database: Callable[[str], Connection[Any]],
    *,
    requested_by: str,
    reason: str,
) -> int:
    """Forget everybody on the platform's own copy of the list in a warehouse that was restored and that
    nobody can read yet; the switch is not touched. Returns how many pseudonyms are on the list.
    `open_database` opens a session of the server's superuser in a database.
    """
    with connect(settings, "admin", autocommit=True) as connection:
        kept = forgotten_copy(settings)
        write_people.forget(connection, {**kept, **_only_of(connection, kept)})
        everybody = people.forgotten(connection).keys()
        if not everybody:
            return 0
        _, written = _unlink(settings, connection, everybody, requested_by, reason)
        vacuum(connection, written)
        _forget_in_releases(connection, everybody)
    embedded.overwrite(open_database)
    return len(everybody)


class NoPersonGiven(ParcError):
    """The command does not say whom to forget."""

    exit_code = 2


def keep_copy(
    settings: Settings, connection: Connection[Any], fingerprint: str, kept: Mapping[UUID, ForgottenPseudonym]
) -> None:
    """Write the list, made with the keys of this fingerprint, to the platform's own folder, together with
    anybody else in the existing copy (`kept`)."""
    listed = {**kept, **people.forgotten(connection)}
    entries = {str(pseudonym): [kind, str(person)] for pseudonym, (kind, person) in sorted(listed.items())}
    text = json.dumps({"fingerprint": fingerprint, "forgotten": entries}, indent=1)
    path = settings.home / COPY
    draft = path.with_name(f".{COPY}.{os.getpid()}")
    draft.touch(mode=0o600)
    with draft.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


@contextmanager
def without_loads(connection: Connection[Any]) -> Iterator[None]:
    """Keep builds away during the block, after waiting for loads that began before it.

    Raises Busy.
    """
    busy = "a build is running"
    with locks.held(connection, locks.BUILD, busy, patience_seconds=PATIENCE_SECONDS):
        tries = Retrying(
            retry=retry_if_result(bool),
            wait=wait_fixed(0.5),
            stop=stop_after_delay(PATIENCE_SECONDS),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        if running := tries(locks.load_at_work, connection):
            raise Busy(f"the {running} is running")
        yield


def vacuum(connection: Connection[Any], tables: Collection[Table]) -> None:
    """Free the space of overwritten rows; tables of numbers are rewritten.

    Statistics are renewed, also those of partitioned tables, because they contain frequent values."""
    for table in tables:
        how = "full, analyze" if table.schema == "routing" else "analyze"
        connection.execute(sql.SQL(f"vacuum ({how}) {{}}").format(table.identifier))
    whole = connection.execute(
        "select distinct inhparent::regclass::text from pg_inherits where inhrelid = any (%s::regclass[])",
        [[str(table) for table in tables]],
    ).fetchall()
    for (name,) in whole:
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier(*name.split("."))))
    _clear_statistics(connection)


def _clear_statistics(connection: Connection[Any]) -> None:
    """Drop the statistics of people's columns in tables that builds fill and empty, since those of an empty
    table are never renewed. Not possible before PostgreSQL 18."""
    if connection.info.server_version < 180000:
        return
    for holder in persons.person_tables(connection):
        if holder.table.schema in ("build", "intermediate"):
            for column in (*holder.pseudonyms, *holder.identities):
                connection.execute(
                    "select pg_clear_attribute_stats(%s, %s, %s, false)",
                    [holder.table.schema, holder.table.name, column],
                )


def _forget(
    settings: Settings,
    known: Mapping[UUID, ForgottenPseudonym],
    requested_by: str,
    reason: str,
    *,
    delete_files: bool,
) -> ForgettingResult:
    """Forget everyone on the list again, which also completes an interrupted run."""
    with connect(settings, "admin", autocommit=True) as connection:
        check_key(connection, settings)
        kept = forgotten_copy(settings)
        person = {**known, **_only_of(connection, known)}
        write_people.forget(connection, person)
        with without_loads(connection):
            person |= _only_of(connection, known)  # with what such a load brought
            write_people.forget(connection, person)
            keep_copy(settings, connection, Pseudonyms.of_settings(settings).fingerprint, kept)
            write_people.forget(connection, kept)
            everybody = people.forgotten(connection).keys()
            row_counts, written = _unlink(settings, connection, everybody, requested_by, reason)
            vacuum(connection, written)
        try:
            version = routing.forget_numbers(settings, everybody, requested_by=requested_by)
        except (Busy, RoutingRefused) as refusal:
            again = () if isinstance(refusal, Busy) else (Step("run this again"),)
            raise type(refusal)(
                f"the warehouse has forgotten the person, but not the switch: {refusal.text}",
                steps=(*refusal.steps, *again),
            ) from refusal
        _forget_in_releases(connection, everybody)
    if not settings.warehouse_dsn:
        embedded.overwrite(partial(embedded.superuser, settings))
    keep_with_backups(settings)
    clear_copies(settings)
    busy = "another search of the landing zone is running"
    with (
        connect(settings, "admin", autocommit=True) as connection,
        locks.held(connection, locks.SEARCH, busy, patience_seconds=PATIENCE_SECONDS),
    ):
        found = files.search(settings, person)
    if delete_files:
        files.delete(settings, found.holding)
    kinds = [kind for kind, _ in person.values()]
    counts = {kind: kinds.count(kind) for kind in COLUMNS if kind in kinds}
    return ForgettingResult(counts, row_counts, version, found, delete_files)


def _forget_in_releases(connection: Connection[Any], everybody: Collection[UUID]) -> None:
    with connection.transaction():
        renewed = persons.make_renewed(connection, {each: surrogate() for each in everybody})
        write_people.renew_named_in_releases(connection, renewed.identifier)
    vacuum(connection, [Table("ops", "routing_change")])


def keep_with_backups(settings: Settings) -> None:
    """Copy the list and the keys to the backups' folder at once: the next backup may be too late.

    Raises ConfigurationError when that folder cannot be written.
    """
    try:
        backups.keep_small_files(settings)
    except OSError as error:
        raise ConfigurationError(
            f"this is done, but {settings.backups} could not get its copy of the list and the keys, so that "
            f"a restore could bring people back: {error.strerror}",
            steps=(Step("make room there"), Step("copy them with a backup", "parc backup")),
        ) from None


def _e164(text: str) -> str:
    known = pl.select(e164(pl.lit(text))).item()
    if not known:
        raise NoPersonGiven("the given number is not a telephone number that can place calls")
    return str(known)


def _known(connection: Connection[Any], kinds: Mapping[UUID, str]) -> dict[UUID, ForgottenPseudonym]:
    """One person: these pseudonyms, and those that were earlier forgotten together with one of them."""
    listed = people.forgotten(connection)
    same = {listed[each].person for each in kinds.keys() & listed.keys()}
    person = min(same, default=uuid4())
    before = {each: kind for each, (kind, whose) in listed.items() if whose in same}
    return {each: ForgottenPseudonym(kind, person) for each, kind in {**before, **kinds}.items()}


def _only_of(
    connection: Connection[Any], known: Mapping[UUID, ForgottenPseudonym]
) -> dict[UUID, ForgottenPseudonym]:
    """The lines and numbers that occur with these customers and no others, forgotten ones aside."""
    customers = [pseudonym for pseudonym, (kind, _) in known.items() if kind == CUSTOMER]
    if not customers:
        return {}
    person_tables = [each for each in persons.person_tables(connection) if "customer_key" in each.pseudonyms]
    found: dict[UUID, ForgottenPseudonym] = {}
    for kind in (NUMBER, LINE):
        column = COLUMNS[kind]
        having = [each.table for each in person_tables if column in each.pseudonyms]
        pairs = sql.SQL(" union all ").join(
            sql.SQL("select customer_key, {} as key from {}").format(sql.Identifier(column), each.identifier)
            for each in having
        )
        if not having:
            continue
        rows = connection.execute(
            sql.SQL(
                "with pairs as materialized ({pairs}), of_person as ("
                "  select key, min(customer_key::text)::uuid as customer_key from pairs"
                "  where customer_key = any (%(customers)s) and key is not null and not {is_surrogate}"
                "  group by key"
                ") select key, customer_key from of_person where not exists ("
                "  select from pairs where pairs.key = of_person.key"
                "  and pairs.customer_key <> all (%(customers)s) and not {is_forgotten}"
                "  and pairs.customer_key <> all (%(forgotten)s))"
            ).format(
                pairs=pairs,
                is_surrogate=sql.SQL(SURROGATES.format("key")),
                is_forgotten=sql.SQL(SURROGATES.format("pairs.customer_key")),
            ),
            {"customers": customers, "forgotten": list(people.forgotten(connection))},
        )
        found |= {key: ForgottenPseudonym(kind, known[customer].person) for key, customer in rows}
    return found


def _unlink(
    settings: Settings,
    connection: Connection[Any],
    everybody: Collection[UUID],
    requested_by: str,
    reason: str,
) -> tuple[dict[str, int], list[Table]]:
    """Step 3; returns the rows written by table, and the tables written."""
    counts = {}
    with connection.transaction():
        locks.keep(connection, locks.RANGES)
        of_routing = _take_numbers_out(settings, connection, everybody)
        renewed = persons.make_renewed(connection, {each: surrogate() for each in everybody})
        tables = {}
        for holder in persons.person_tables(connection):
            if count := persons.renew(connection, holder, renewed):
                tables[holder.table] = count
        counts = _by_parent(connection, tables)
        tables |= of_routing
        counts |= {str(table): count for table, count in of_routing.items()}
        write_people.note_forgetting(
            connection,
            "forgotten",
            requested_by=remark(requested_by),
            reason=remark(reason),
            row_counts=counts,
        )
    return counts, list(tables)


def _by_parent(connection: Connection[Any], tables: Mapping[Table, int]) -> dict[str, int]:
    """Counts by table, with partitions counted under their parent."""
    counts: dict[str, int] = {}
    for table, count in tables.items():
        row = connection.execute(
            "select coalesce(max(inhparent::regclass::text), %s) from pg_inherits "
            "where inhrelid = %s::regclass",
            [str(table), str(table)],
        ).fetchone()
        assert row
        counts[row[0]] = counts.get(row[0], 0) + count
    return counts


def _take_numbers_out(
    settings: Settings, connection: Connection[Any], everybody: Collection[UUID]
) -> dict[Table, int]:
    """Delete the numbers, known only by their pseudonyms, from the tables from which the switch's are
    made; and the pseudonyms themselves from the record of what is live."""
    counts = {}
    recorded = Table("routing", "live_exception")
    found = connection.execute(
        "delete from routing.live_exception where number_key = any (%s)", [list(everybody)]
    )
    if found.rowcount:
        counts[recorded] = found.rowcount
    for name in ("line_assignment", "urgent_assignment"):
        table = Table("routing", name)
        if not connection.execute("select to_regclass(%s)", [str(table)]).fetchone()[0]:  # type: ignore[index]
            continue
        numbers = _of_pseudonyms(settings, connection, table, everybody)
        if not numbers:
            continue
        if name == "urgent_assignment":  # only ended assignments may be deleted
            connection.execute(_URGENT, ["parc forget", numbers])
        counts[table] = connection.execute(
            sql.SQL("delete from {} where number = any (%s)").format(table.identifier), [numbers]
        ).rowcount
    return counts


def _of_pseudonyms(
    settings: Settings, connection: Connection[Any], table: Table, everybody: Collection[UUID]
) -> list[str]:
    """The numbers in a table that have one of these pseudonyms."""
    # All numbers as one text, because reading millions row by row is slow in Python.
    row = connection.execute(
        sql.SQL("select string_agg(distinct number, E'\\n') from {}").format(table.identifier)
    ).fetchone()
    assert row
    numbers = pl.Series("number", (row[0] or "").split("\n"), pl.String)
    return Pseudonyms.of_settings(settings).matching(numbers, everybody).to_list()
