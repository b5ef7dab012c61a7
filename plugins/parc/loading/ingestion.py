"""Takes one delivery from the landing zone into the warehouse: load into its own table, audit, publish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any, Literal

from psycopg import Connection
from psycopg.errors import DeadlockDetected, DiskFull, LockNotAvailable

from parc import feeds, storage, warehouse
from parc.errors import Busy, ConfigurationError, DeliveryRefused
from parc.feeds import Feed, Keeping
from parc.findings import Step
from parc.ledger import deliveries, locks, runs, write_deliveries
from parc.ledger.deliveries import Delivery
from parc.ledger.quarantine import RejectedRow
from parc.loading import incidents, pseudonyms, ranges
from parc.loading.arrivals import why_incomplete
from parc.loading.changes import Changes, compare
from parc.loading.control import CONTROL
from parc.loading.dates import ANY, AcceptedDates
from parc.loading.landing import SUFFIXES, CollectedDelivery, collect, unreadable
from parc.loading.limits import MOST_REJECTED_ROWS
from parc.loading.load import LoadProgress, load
from parc.loading.rows import RowRejection, RowRules
from parc.pseudonyms import Pseudonyms
from parc.settings import Settings
from parc.warehouse import partitions
from parc.warehouse.partitions import Table
from parc.wording import counted

REFUSED_ROWS_LISTED = 1_000
"""Most rejected rows of a refused delivery that quarantine lists; its ledger row counts all of them."""

REASONS_NAMED = 3

LEAST_OF_REPLACED = 0.7
"""A restatement with a smaller share of the replaced rows is published with a warning."""

SAME_DATE_PATIENCE_SECONDS = 1800.0


@dataclass(frozen=True)
class Outcome:
    """The result for a delivery; `message` describes it for people, `steps` say what to do about it.

    `unchanged`: the same bytes are already published. `missing`: nothing was delivered, or nothing complete.
    There is then no ledger row and `delivery_id` is None, as for an implausible date. All rows of a refused
    delivery count as quarantined.
    """

    feed: str
    business_date: date
    status: Literal["published", "unchanged", "refused", "missing"]
    delivery_id: int | None
    rows_read: int
    rows_published: int
    rows_quarantined: int
    message: str
    warnings: list[str] = field(default_factory=list)
    steps: tuple[Step, ...] = ()

    @property
    def is_failure(self) -> bool:
        """Whether someone must act: the delivery was refused, or is missing from a daily feed. If a snapshot
        is missing, the previous one stays in force."""
        return self.status == "refused" or (self.status == "missing" and feeds.get(self.feed).is_daily)


def ingest(
    settings: Settings,
    feed: str,
    business_date: date,
    *,
    is_replay: bool = False,
    complete_only: bool = False,
    accepted_dates: AcceptedDates = ANY,
) -> Outcome:
    """Load the delivery of a feed and a date from the landing zone, and publish it if it is good.

    A date outside `accepted_dates` is refused and not recorded in the ledger; `delivery_id` is then None.
    With `complete_only`, as at night, a delivery that is still being written counts as missing, and the
    ledger notes that a missing one was looked for: it is due. Otherwise, as by hand, a delivery is loaded as
    it is, and refused if it proves incomplete; that nothing is there makes no night.

    Bytes that are already published are not loaded again, except for a replay; other bytes replace them. If a
    run is killed, the next one clears up after it; of two runs at the same time the second waits. Any error
    in the delivery, even a panic of a library, refuses it; the message names the log with the details.

    Raises UnknownFeed, ConfigurationError (no warehouse, no landing zone, a full disk, a pseudonym key that
    is not the warehouse's), Busy (a lock that stays held).
    """
    try:
        accepted_dates.check(feed, business_date)
    except DeliveryRefused as refusal:
        return Outcome(feed, business_date, "refused", None, 0, 0, 0, refusal.text)
    with _alone(settings, feeds.get(feed), business_date) as connection, ExitStack() as copies:
        try:
            if complete_only and (why := why_incomplete(settings, feed, business_date)):
                write_deliveries.note_missing(connection, feed, business_date)
                text = f"{feed} {business_date}: still being written, left for the next look: {why}"
                return Outcome(feed, business_date, "missing", None, 0, 0, 0, text)
            delivery = copies.enter_context(collect(settings, feed, business_date))
        except BaseException as error:
            if not incidents.is_of_delivery(error):
                raise
            problem = incidents.keep(settings, feed, business_date, error)
            delivery = unreadable(settings, feed, business_date, problem)
        run = _Run(settings, connection, feeds.get(feed), business_date, delivery, is_replay)
        outcome = run.outcome()
        if outcome.status == "missing" and complete_only:
            write_deliveries.note_missing(connection, feed, business_date)
        return outcome


def refuse(settings: Settings, feed: str, business_date: date, reason: str) -> Outcome:
    """Refuse a delivery unread because of how its load ended, and settle the ledger row that the load left.
    If the load had already published the delivery, it stays published.

    Raises the same errors as `ingest`.
    """
    with _alone(settings, feeds.get(feed), business_date) as connection:
        delivery = unreadable(settings, feed, business_date, reason)
        run = _Run(settings, connection, feeds.get(feed), business_date, delivery, is_replay=False)
        return run.already_published() or run.outcome()


def _no_space(feed: str, business_date: date, where: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{feed} {business_date}: the disk of {where} is full ({reason}); published data has not changed",
        steps=(
            Step("see what can go", "parc maintain --dry-run"),
            Step("make room"),
            Step("run this again"),
        ),
    )


@contextmanager
def _alone(settings: Settings, feed: Feed, business_date: date) -> Iterator[Connection[Any]]:
    """A connection that holds the lock of the feed and date while it is open. Clears up after dead runs
    first, and turns errors of the environment into readable ones."""
    try:
        with warehouse.connect(settings, "loader", autocommit=True) as connection:
            # Otherwise the server would continue with a killed process's statement and keep its lock.
            connection.execute("set client_connection_check_interval = '2s'")
            connection.execute(f"set lock_timeout = '{1000 * SAME_DATE_PATIENCE_SECONDS:.0f}ms'".encode())
            with locks.held(
                connection,
                locks.of_load(feed.name, business_date),
                f"{feed.name} {business_date}: another session is loading the same date",
                patience_seconds=SAME_DATE_PATIENCE_SECONDS,
            ):
                pseudonyms.check_key(connection, settings)
                with connection.transaction():
                    partitions.ensure_table(connection, feed)
                    partitions.drop_leftovers(connection, feed, business_date)
                yield connection
    except (LockNotAvailable, DeadlockDetected) as error:
        raise Busy(
            f"{feed.name} {business_date}: another session holds what this run needs "
            f"({str(error).splitlines()[0]})"
        ) from None
    except DiskFull as error:
        raise _no_space(feed.name, business_date, "the warehouse", str(error).splitlines()[0]) from None
    except OSError as error:
        if not storage.is_disk_full(error):
            raise
        raise _no_space(feed.name, business_date, str(settings.home), str(error)) from None


@dataclass(frozen=True)
class _Run:
    """The load of one delivery, under the lock of its feed and date."""

    settings: Settings
    connection: Connection[Any]
    feed: Feed
    business_date: date
    delivery: CollectedDelivery
    is_replay: bool

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """Makes this load's pseudonyms; forgotten people get surrogates that are unique to this delivery."""
        return pseudonyms.of_load(self.connection, self.settings)

    def outcome(self) -> Outcome:
        """Publish or refuse the delivery, or find that nothing needs to be done."""
        current = deliveries.published(self.connection, self.feed.name, self.business_date)
        problem = self.delivery.problem
        if not self.delivery.files and not problem:
            self._close_unfinished()
            return self._outcome("missing", None, 0, 0, 0, self._missing_reason())
        if current and not problem and not self.is_replay and self._is_same_as(current):
            self._close_unfinished()
            counts = (current.rows_read, current.rows_published, current.rows_quarantined)
            text = f"unchanged, the same bytes are published as delivery {current.delivery_id}"
            self._update_last_look(current.delivery_id)
            runs.note(self.connection, self.settings, delivery_id=current.delivery_id)
            return self._outcome("unchanged", current.delivery_id, *counts, text)

        withdrawn = deliveries.withdrawn(
            self.connection, self.feed.name, self.business_date, self.delivery.content_sha256
        )
        if withdrawn and not problem and not self.is_replay:
            self._close_unfinished()
            self._update_last_look(withdrawn.delivery_id)
            text = (
                f"refused, these bytes were withdrawn as delivery {withdrawn.delivery_id} "
                f"({withdrawn.reason})"
            )
            replay = Step("publish them all the same", f"parc quarantine replay {withdrawn.delivery_id}")
            outcome = self._outcome("refused", withdrawn.delivery_id, 0, 0, 0, text)
            return replace(outcome, steps=(replay,))

        pseudonyms.keep_key(self.connection, self.settings)
        delivery_id = write_deliveries.land(
            self.connection,
            self.feed.name,
            self.business_date,
            files=self.delivery.recorded_files,
            listing=self.delivery.listing,
            content_sha256=self.delivery.content_sha256,
        )
        runs.note(self.connection, self.settings, delivery_id=delivery_id)
        loaded = LoadProgress()
        try:
            outcome = self._loaded(delivery_id, current, loaded)
        except BaseException as error:
            if not incidents.is_of_delivery(error) or self.connection.closed:
                raise
            self.connection.execute("select 1")  # if the connection was lost, raise that instead
            reason = incidents.keep(self.settings, self.feed.name, self.business_date, error)
            return self._refuse(delivery_id, reason, LoadProgress(loaded.rows_read), [])
        with self.connection.transaction():
            partitions.drop_leftovers(self.connection, self.feed, self.business_date)
        return outcome

    def already_published(self) -> Outcome | None:
        """The outcome of a load that published the delivery but died before reporting it."""
        current = deliveries.published(self.connection, self.feed.name, self.business_date)
        if current is None or current.listing != self.delivery.listing:
            return None
        counts = (current.rows_read, current.rows_published, current.rows_quarantined)
        text = f"published as delivery {current.delivery_id}, though {self.delivery.problem}"
        return self._outcome("published", current.delivery_id, *counts, text)

    def _loaded(self, delivery_id: int, current: Delivery | None, loaded: LoadProgress) -> Outcome:
        """Load the delivery into its own table, audit it, and publish or refuse it."""
        table = partitions.delivery_table(self.feed, self.business_date, delivery_id)
        warnings = list(self.delivery.ignored)
        try:
            if self.delivery.problem:
                raise DeliveryRefused(self.delivery.problem)
            self._check_retention()
            load(
                self.connection,
                self.feed,
                self.business_date,
                self.delivery.files,
                table,
                self._rules(),
                loaded,
            )
            pseudonyms.keep_surrogates(self.connection, self.feed, table, self.pseudonyms)
            warnings += loaded.warnings
            self._check_counts(loaded)
            warnings += self._shrinkage(loaded, current)
            measures = self._audit(delivery_id, table, warnings)
        except DeliveryRefused as refusal:
            return self._refuse(delivery_id, refusal.text, loaded, warnings)
        write_deliveries.audit(
            self.connection,
            delivery_id,
            rows_read=loaded.rows_read,
            rows_rejected=loaded.rows_rejected,
            warnings=warnings,
            measures=measures,
        )
        changes = self._publish(delivery_id, table, loaded, current)

        good = loaded.rows_read - loaded.rows_rejected
        text = f"{good:,} of {counted(loaded.rows_read, 'row')} published as delivery {delivery_id}"
        if loaded.rows_rejected:
            text += f", {loaded.rows_rejected:,} quarantined: {_top_reasons(loaded)}"
        if current:
            text += f"; replaces delivery {current.delivery_id}: {changes}"
        counts = (loaded.rows_read, good, loaded.rows_rejected)
        return self._outcome("published", delivery_id, *counts, text, warnings)

    def _outcome(
        self,
        status: Literal["published", "unchanged", "refused", "missing"],
        delivery_id: int | None,
        read: int,
        published: int,
        quarantined: int,
        text: str,
        warnings: list[str] | None = None,
    ) -> Outcome:
        message = f"{self.feed.name} {self.business_date}: {text}"
        feed, day = self.feed.name, self.business_date
        return Outcome(feed, day, status, delivery_id, read, published, quarantined, message, warnings or [])

    def _missing_reason(self) -> str:
        kinds = ", ".join(SUFFIXES)
        there = f"there is no {kinds} file under {self.delivery.url}"
        return "; ".join([f"nothing was delivered: {there}", *self.delivery.ignored])

    def _rules(self) -> RowRules:
        from parc.quality import seed_column

        named = {column.listed_in for column in self.feed.file_columns if column.listed_in}
        listed = {
            column: seed_column(self.settings.project, column, named_by=f"the feed {self.feed.name}")
            for column in named
        }
        return RowRules(self.feed, self.business_date, self.pseudonyms, listed)

    def _is_same_as(self, current: Delivery) -> bool:
        stated = self.delivery.control.rows
        return self.delivery.content_sha256 == current.content_sha256 and stated in (
            None,
            current.rows_read,
        )

    def _check_retention(self) -> None:
        expired = deliveries.newest_expired_date(self.connection, self.feed.name)
        if expired and self.business_date <= expired:
            raise DeliveryRefused(
                f"the dates up to {expired} are past retention ({self.feed.retention.days} days): the "
                "reference data of that time is gone, so the published figures stay as they are; "
                "analyse the files themselves if you need them"
            )

    def _check_counts(self, loaded: LoadProgress) -> None:
        stated = self.delivery.control.rows
        if stated is not None and stated != loaded.rows_read and not loaded.is_cut:
            raise DeliveryRefused(
                f"{CONTROL} says {counted(stated, 'row')}, the files hold {loaded.rows_read:,}; "
                "deliver the whole day again"
            )
        if loaded.rows_rejected > self.feed.reject_limit * loaded.rows_read:
            limit = f"{100 * self.feed.reject_limit:g} %"
        elif loaded.rows_rejected > MOST_REJECTED_ROWS:
            limit = f"{MOST_REJECTED_ROWS:,} rows"
        else:
            return
        share = 100 * loaded.rows_rejected / loaded.rows_read
        raise DeliveryRefused(
            f"{loaded.rows_rejected:,} of {'the first ' if loaded.is_cut else ''}"
            f"{counted(loaded.rows_read, 'row')} ({share:.1f} %) break rules, limit {limit}"
            f"{'; the rest was not read' if loaded.is_cut else ''}: {_top_reasons(loaded)}"
        )

    def _shrinkage(self, loaded: LoadProgress, current: Delivery | None) -> list[str]:
        """Warn about a restatement that lacks many rows, even without history to compare with."""
        good = loaded.rows_read - loaded.rows_rejected
        if not current or good >= LEAST_OF_REPLACED * current.rows_published:
            return []
        return [
            f"{counted(good, 'row replaces', 'rows replace')} the {current.rows_published:,} of delivery "
            f"{current.delivery_id}; look for a missing part"
        ]

    def _audit(self, delivery_id: int, table: Table, warnings: list[str]) -> dict[str, Any]:
        """Run the feed's suite on the delivery; adds to `warnings` and returns the measures."""
        from parc.quality import check_delivery, history_of_ledger

        history = history_of_ledger(self.connection, self.feed, self.business_date)
        verdict = check_delivery(self.settings, self.feed.name, str(table), self.business_date, history)
        if verdict.page:
            write_deliveries.note_docs_page(self.connection, delivery_id, verdict.page)
        place = f"; Data Docs: {verdict.page}"
        warnings += [f"{violation.message}{place}" for violation in verdict.warnings]
        if not verdict.passed:
            raise DeliveryRefused("; ".join(violation.text for violation in verdict.failures) + place)
        return verdict.measures

    def _refuse(self, delivery_id: int, reason: str, loaded: LoadProgress, warnings: list[str]) -> Outcome:
        with self.connection.transaction():
            write_deliveries.refuse(
                self.connection,
                delivery_id,
                reason,
                rows_read=loaded.rows_read,
                rows_rejected=loaded.rows_rejected,
                warnings=warnings,
            )
            self._quarantine(delivery_id, loaded.rejected[:REFUSED_ROWS_LISTED])
            partitions.drop_leftovers(self.connection, self.feed, self.business_date)
        text = f"refused as a whole (delivery {delivery_id}): {reason}"
        return self._outcome("refused", delivery_id, loaded.rows_read, 0, loaded.rows_read, text, warnings)

    def _publish(
        self, delivery_id: int, table: Table, loaded: LoadProgress, current: Delivery | None
    ) -> Changes | None:
        """Swap the delivery in, in one short transaction; returns the changes if it replaces another."""
        changes = None
        is_ranges = self.feed.keeping is Keeping.RANGES
        if current and not is_ranges:
            old = partitions.delivery_table(self.feed, self.business_date, current.delivery_id)
            changes = compare(self.connection, self.feed, old, table)
        for attempt in partitions.attempts():
            with attempt, self.connection.transaction():
                if is_ranges:
                    merged = ranges.merge(
                        self.connection, self.feed, table, self.business_date, self.pseudonyms
                    )
                    changes = merged if current else None
                self._quarantine(delivery_id, loaded.rejected)
                write_deliveries.publish(
                    self.connection,
                    delivery_id,
                    superseded_id=current.delivery_id if current else None,
                    changes=asdict(changes) if changes else None,
                )
                if not is_ranges:
                    self.connection.execute(f"set local lock_timeout = '{partitions.LOCK_PATIENCE}'")
                    partitions.attach(self.connection, self.feed, table, self.business_date)
        return changes

    def _quarantine(self, delivery_id: int, rejected: Sequence[RowRejection]) -> None:
        rows = (
            RejectedRow(row.file_name, row.line, row.column, row.reason, row.text, row.columns)
            for row in rejected
        )
        write_deliveries.quarantine(self.connection, delivery_id, rows)

    def _update_last_look(self, delivery_id: int) -> None:
        files, listing = self.delivery.recorded_files, self.delivery.listing
        write_deliveries.see_again(self.connection, delivery_id, files=files, listing=listing)

    def _close_unfinished(self) -> None:
        """Close a ledger row that a dead run of the date left, if this run does not take it over."""
        reason = "its run was interrupted, and the files have changed since"
        write_deliveries.close_unfinished(self.connection, self.feed.name, self.business_date, reason)


def _top_reasons(loaded: LoadProgress) -> str:
    reasons = []
    for reason, count in loaded.reasons.most_common(REASONS_NAMED):
        first = loaded.first_by_reason[reason]
        value = f", {first.value!r}" if first.value is not None else ""
        reasons.append(f"{reason} in {count:,} (first: {first.file_name} line {first.line}{value})")
    return "; ".join(reasons)
