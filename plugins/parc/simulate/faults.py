"""Named faults: reproducible copies of what goes wrong with real deliveries, made on request.

A fault hits one delivery and has one or more stages: what the landing zone holds from a given evening on
(`Stage`). A late delivery, for example, is absent at first and present two days later. The landing zone is
left as on the evening of the range's last date, so simulating night after night plays out every stage.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import polars as pl

from parc import feeds
from parc.feeds import Column, Feed, Keeping, Personal, Type
from parc.simulate.chance import Bools, stream
from parc.simulate.errors import SimulationError
from parc.simulate.writing import COMPRESSED, CONTROL, LandingZone, SimulatedDelivery

DAILY = tuple(feed.name for feed in feeds.FEEDS.values() if feed.keeping is Keeping.DAYS)
RECORDS = "faults.json"
UNKNOWN_CODE = "ZZ999"

_PLACES = {"calls": "site_code", "boutique_visits": "boutique_code", "interventions": "unit_code"}

ExpectedOutcome = Literal["published", "refused", "missing", "unchanged"]
Made = Callable[[date], Mapping[str, pl.DataFrame]]


@dataclass(frozen=True)
class CleanDelivery:
    """A good delivery for a fault to spoil: its rows, a random stream, and access to other days' rows."""

    feed: Feed
    day: date
    rows: pl.DataFrame
    made: Made
    rng: np.random.Generator

    @property
    def rows_before(self) -> pl.DataFrame:
        """The previous day's rows.

        Raises SimulationError if there are none.
        """
        rows = self.made(self.day - timedelta(days=1))[self.feed.name]
        if rows.is_empty():
            raise SimulationError(
                f"{self.feed.name} {self.day}: the day before has no rows to copy; "
                "aim the fault at another date"
            )
        return rows

    def delivery(self, rows: pl.DataFrame | None = None) -> SimulatedDelivery:
        """A delivery of `rows`, by default the good ones."""
        return SimulatedDelivery.of(self.feed.name, self.day, self.rows if rows is None else rows)

    def text(self) -> bytes:
        """The good file's text, uncompressed."""
        return self.rows.rechunk().write_csv().encode()

    def chosen(self, share: float) -> Bools:
        """Choose a random share of the rows, at least one: a flag per row."""
        total = self.rows.height
        marks = np.zeros(total, dtype=np.bool_)
        marks[self.rng.permutation(total)[: max(1, int(share * total))]] = True
        return marks

    def few(self) -> Bools:
        """Choose few enough rows for the delivery to be accepted: half as many as the reject limit allows.

        Raises SimulationError if a single bad row already exceeds the limit.
        """
        if self.feed.reject_limit * self.rows.height < 1:
            raise SimulationError(
                f"{self.feed.name} {self.day}: among {self.rows.height} rows a single bad one exceeds the "
                f"reject limit; take a larger scale or aim the fault at another date"
            )
        return self.chosen(self.feed.reject_limit / 2)


@dataclass(frozen=True)
class FaultResult:
    """What a fault made: the delivery (None: no delivery), rows touched, rows that must be quarantined.

    `names` must appear in the ledger's reason, in its warnings or in the quarantined rows' reasons.
    """

    delivery: SimulatedDelivery | None
    touched: int
    quarantined: int = 0
    names: str | None = None


@dataclass(frozen=True)
class Stage:
    """What is in the landing zone from `days_after` the business date on, and what loading it should do."""

    days_after: int
    make: Callable[[CleanDelivery], FaultResult]
    outcome: ExpectedOutcome


@dataclass(frozen=True)
class Fault:
    """One named fault: what it does, what the platform promises in response, and the feeds it can hit.

    `like_days` is how many published days of the same kind the promise relies on; `needs_day_before` says
    that the fault copies rows of the day before.
    """

    name: str
    does: str
    promise: str
    stages: tuple[Stage, ...]
    feeds: tuple[str, ...] = DAILY
    like_days: int = 0
    needs_day_before: bool = False


# ---- one function per fault


def _clean(clean: CleanDelivery) -> FaultResult:
    return FaultResult(clean.delivery(), 0)


def _absent(clean: CleanDelivery) -> FaultResult:
    return FaultResult(None, clean.rows.height)


def _bad_rows(clean: CleanDelivery) -> FaultResult:
    chosen = clean.few()
    count = int(chosen.sum())
    return FaultResult(
        clean.delivery(_capitalised(clean, chosen)), count, count, _enumerated(clean.feed).name
    )


def _too_many_bad_rows(clean: CleanDelivery) -> FaultResult:
    chosen = clean.chosen(5 * clean.feed.reject_limit)
    rows = _capitalised(clean, chosen)
    return FaultResult(clean.delivery(rows), int(chosen.sum()), names=_enumerated(clean.feed).name)


def _missing_column(clean: CleanDelivery) -> FaultResult:
    name = _enumerated(clean.feed).name
    return FaultResult(
        clean.delivery(clean.rows.drop(name)), clean.rows.height, names=f"lacks column `{name}`"
    )


def _unknown_column(clean: CleanDelivery) -> FaultResult:
    rows = clean.rows.with_columns(supplier_note=pl.lit("v2"))
    return FaultResult(clean.delivery(rows), rows.height, names="unknown column `supplier_note`")


def _renamed_column(clean: CleanDelivery) -> FaultResult:
    name = _enumerated(clean.feed).name
    rows = clean.rows.rename({name: f"{name}_label"})
    return FaultResult(clean.delivery(rows), rows.height, names=f"unknown column `{name}_label`")


def _retyped_column(clean: CleanDelivery) -> FaultResult:
    columns = clean.feed.file_columns
    number = next((column for column in columns if column.type is Type.INTEGER), None)
    if number:
        name, text = number.name, pl.col(number.name).cast(pl.String) + ",0"
    else:
        name = next(column.name for column in columns if column.type is Type.INSTANT and not column.nullable)
        text = pl.col(name).str.replace(r"^(\d{4})-(\d\d)-(\d\d)T([0-9:]+).*$", "${3}/${2}/${1} ${4}")
    touched = clean.rows.height - clean.rows[name].null_count()
    rows = clean.rows.with_columns(text.alias(name))
    return FaultResult(clean.delivery(rows), touched, names=f"`{name}` is not")


def _duplicates(clean: CleanDelivery) -> FaultResult:
    copies = clean.rows.filter(clean.few())
    rows = pl.concat([clean.rows, copies])
    return FaultResult(clean.delivery(rows), copies.height, copies.height, "duplicate of")


def _repeated_keys(clean: CleanDelivery) -> FaultResult:
    key, before = clean.feed.key[0], clean.rows_before
    count = max(1, int(clean.rows.height / 100))
    if not clean.feed.dated_by:
        again = _drawn(clean, before, count)
        return FaultResult(clean.delivery(pl.concat([again, clean.rows])), again.height)
    # Rows of another date would be quarantined. So give today's rows yesterday's ids, as a reset counter
    # does.
    alone = pl.len().over(key) == 1
    taken, given = (_drawn(clean, rows.filter(alone), count)[key] for rows in (before, clean.rows))
    count = min(taken.len(), given.len())
    ids = pl.col(key).replace(given.head(count), taken.head(count))
    return FaultResult(clean.delivery(clean.rows.with_columns(ids)), count)


def _first_version(clean: CleanDelivery) -> FaultResult:
    """Three rows in a hundred are still missing; two in a hundred hold another code."""
    name = _free_text(clean.feed).name
    codes = clean.rows[name].drop_nulls().unique().sort().head(2).to_list()
    one, other = codes if len(codes) == 2 else ("bill", "fault")
    recoded = pl.when(pl.col(name).eq_missing(one)).then(pl.lit(other)).otherwise(pl.lit(one))
    draw = pl.Series(clean.rng.random(clean.rows.height))
    altered = clean.rows.with_columns(pl.when(draw > 0.98).then(recoded).otherwise(name).alias(name))
    touched = int(((draw < 0.03) | (draw > 0.98)).sum())
    return FaultResult(clean.delivery(altered.filter(draw >= 0.03)), touched)


def _truncated_gzip(clean: CleanDelivery) -> FaultResult:
    content = clean.delivery().content
    cut = _of_content(clean, content[: len(content) * 2 // 3])
    return FaultResult(cut, clean.rows.height, names="gzip stream is cut off")


def _volume_collapse(clean: CleanDelivery) -> FaultResult:
    key = clean.feed.key[0]
    ids = clean.rows[key].unique(maintain_order=True)
    kept = ids.filter(pl.Series(clean.rng.random(ids.len()) < 0.35))
    rows = clean.rows.filter(pl.col(key).is_in(kept.implode()))
    return FaultResult(clean.delivery(rows), clean.rows.height - rows.height, names="of the usual")


def _volume_surge(clean: CleanDelivery) -> FaultResult:
    key = clean.feed.key[0]
    ids = clean.rows[key].unique(maintain_order=True)
    again = ids.filter(pl.Series(clean.rng.random(ids.len()) < 0.6))
    copies = clean.rows.filter(pl.col(key).is_in(again.implode())).with_columns(pl.col(key) + "-2")
    return FaultResult(clean.delivery(pl.concat([clean.rows, copies])), copies.height, names="of the usual")


def _wrong_date(clean: CleanDelivery) -> FaultResult:
    strays = clean.rows_before.tail(int(clean.few().sum()))
    rows = pl.concat([strays, clean.rows])
    return FaultResult(
        clean.delivery(rows), strays.height, strays.height, f"`{clean.feed.dated_by}` is not on {clean.day}"
    )


def _control_mismatch(clean: CleanDelivery) -> FaultResult:
    delivery = clean.delivery()
    return FaultResult(replace(delivery, rows=delivery.rows + 25), 0, names=f"{CONTROL} says")


def _corrupt_file(clean: CleanDelivery) -> FaultResult:
    delivery = clean.delivery()
    content = bytearray(delivery.content)
    content[len(content) // 2] ^= 0x20
    return FaultResult(replace(delivery, content=bytes(content)), 1, names="sha256")


def _empty_file(clean: CleanDelivery) -> FaultResult:
    return FaultResult(
        SimulatedDelivery.of_text(clean.feed.name, clean.day, b"", rows=0),
        clean.rows.height,
        names="it is empty",
    )


def _bad_encoding(clean: CleanDelivery) -> FaultResult:
    name = _free_text(clean.feed).name
    chosen = clean.chosen(0.1)
    marked = pl.when(pl.Series(chosen)).then(pl.lit("dérangement")).otherwise(name)
    text = clean.rows.with_columns(marked.alias(name)).write_csv().encode("latin-1")
    delivery = SimulatedDelivery.of_text(clean.feed.name, clean.day, text, rows=clean.rows.height)
    return FaultResult(delivery, int(chosen.sum()), names="is not UTF-8")


def _byte_order_mark(clean: CleanDelivery) -> FaultResult:
    text = codecs.BOM_UTF8 + clean.text()
    return FaultResult(SimulatedDelivery.of_text(clean.feed.name, clean.day, text, rows=clean.rows.height), 0)


def _unknown_codes(clean: CleanDelivery) -> FaultResult:
    name = _PLACES[clean.feed.name]
    chosen = pl.Series(clean.chosen(0.05)) & clean.rows[name].is_not_null()
    rows = clean.rows.with_columns(pl.when(chosen).then(pl.lit(UNKNOWN_CODE)).otherwise(name).alias(name))
    return FaultResult(clean.delivery(rows), int(chosen.sum()), names=UNKNOWN_CODE)


def _mixed_spellings(clean: CleanDelivery) -> FaultResult:
    name = next(column.name for column in clean.feed.file_columns if column.personal is Personal.NUMBER)
    number = pl.col(name)
    digits = number.str.replace(r"^\+(?:33)?", "0")
    spellings = (
        digits,
        digits.str.replace(r"^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$", "$1 $2 $3 $4 $5"),
        number.str.replace(r"^\+33(\d)(\d\d)(\d\d)(\d\d)(\d\d)$", "+33 $1 $2 $3 $4 $5"),
        number.str.replace(r"^\+33", "0033"),
        number.str.replace(r"^\+33", "33"),
    )
    is_mainland = number.str.contains(r"^\+33[1-9]\d{8}$").fill_null(False)
    draw = pl.Series(clean.rng.integers(len(spellings), size=clean.rows.height))
    which = pl.coalesce(pl.when(draw == place).then(text) for place, text in enumerate(spellings))
    rows = clean.rows.with_columns(pl.when(is_mainland).then(which).otherwise(number).alias(name))
    return FaultResult(clean.delivery(rows), int((rows[name] != clean.rows[name]).sum()))


def _enumerated(feed: Feed) -> Column:
    return next(column for column in feed.file_columns if column.one_of and not column.nullable)


def _free_text(feed: Feed) -> Column:
    """The last text column without a list or format: the reason for the contact."""
    return next(
        column
        for column in reversed(feed.file_columns)
        if column.type is Type.TEXT and not (column.one_of or column.form or column.personal)
    )


def _capitalised(clean: CleanDelivery, chosen: Bools) -> pl.DataFrame:
    name = _enumerated(clean.feed).name
    written = pl.when(pl.Series(chosen)).then(pl.col(name).str.to_titlecase()).otherwise(name)
    return clean.rows.with_columns(written.alias(name))


def _drawn(clean: CleanDelivery, rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """A random sample of the rows, in their original order."""
    return rows[np.sort(clean.rng.permutation(rows.height)[:count])]


def _of_content(clean: CleanDelivery, content: bytes) -> SimulatedDelivery:
    return replace(clean.delivery(), content=content, sha256=hashlib.sha256(content).hexdigest())


# ---- the catalogue


def _once(make: Callable[[CleanDelivery], FaultResult], outcome: ExpectedOutcome) -> tuple[Stage, ...]:
    return (Stage(0, make, outcome),)


_QUARANTINED = "published; the rows are quarantined with line, column and reason"

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        fault.name: fault
        for fault in (
            Fault(
                "bad_rows",
                "half as many rows as the reject limit allows hold a value outside its list",
                _QUARANTINED,
                _once(_bad_rows, "published"),
            ),
            Fault(
                "too_many_bad_rows",
                "five times as many rows as the reject limit allows hold a value outside its list",
                "refused as a whole, naming the column and the first line",
                _once(_too_many_bad_rows, "refused"),
            ),
            Fault(
                "missing_column",
                "a column is not in the file",
                "refused, naming the missing column",
                _once(_missing_column, "refused"),
            ),
            Fault(
                "unknown_column",
                "the file has an extra column",
                "refused, naming the unknown column",
                _once(_unknown_column, "refused"),
            ),
            Fault(
                "renamed_column",
                "a column is renamed",
                "refused, naming the missing and the unknown column",
                _once(_renamed_column, "refused"),
            ),
            Fault(
                "retyped_column",
                "a number has a decimal comma, or an instant is written 25/04/2012, in every row",
                "refused, naming the column and what it should hold",
                _once(_retyped_column, "refused"),
            ),
            Fault(
                "duplicates",
                "a few rows appear twice in the file",
                "published; the first row of each key is kept, later copies are quarantined",
                _once(_duplicates, "published"),
            ),
            Fault(
                "repeated_keys",
                "one row in a hundred reuses a key of the day before",
                "published; the earliest date keeps the key, the marts count the others",
                _once(_repeated_keys, "published"),
                needs_day_before=True,
            ),
            Fault(
                "late",
                "the delivery arrives two days after its date",
                "missing until then, published once it arrives; the marts end up the same",
                (Stage(0, _absent, "missing"), Stage(2, _clean, "published")),
            ),
            Fault(
                "missing",
                "the delivery never arrives",
                "shown as due and missing",
                _once(_absent, "missing"),
            ),
            Fault(
                "restated",
                "a first version lacks rows and holds wrong codes; two days later the good one replaces it",
                "published twice; the second supersedes the first and says what changed",
                (Stage(0, _first_version, "published"), Stage(2, _clean, "published")),
            ),
            Fault(
                "same_again",
                "a day later the same bytes are delivered again",
                "nothing happens: the same bytes are already published",
                (Stage(0, _clean, "published"), Stage(1, _clean, "unchanged")),
            ),
            Fault(
                "truncated_gzip",
                "the compressed file ends after two thirds",
                "refused: its gzip stream is cut off",
                _once(_truncated_gzip, "refused"),
                feeds=tuple(name for name in DAILY if name in COMPRESSED),
            ),
            Fault(
                "volume_collapse",
                "two rows in three are missing",
                "refused if four like days give a median to compare with; otherwise published with a warning",
                _once(_volume_collapse, "refused"),
                like_days=4,
            ),
            Fault(
                "volume_surge",
                "the file has 60 % too many rows",
                "published with a warning once there is one like day of history",
                _once(_volume_surge, "published"),
                like_days=1,
            ),
            Fault(
                "wrong_date",
                "the last rows of the day before are repeated at the top",
                _QUARANTINED,
                _once(_wrong_date, "published"),
                feeds=tuple(name for name in DAILY if feeds.get(name).dated_by),
                needs_day_before=True,
            ),
            Fault(
                "control_mismatch",
                "the control file claims 25 rows more than the file holds",
                "refused, naming both counts",
                _once(_control_mismatch, "refused"),
            ),
            Fault(
                "corrupt_file",
                "a byte changed after the control file was made",
                "refused: the file's sha256 does not match",
                _once(_corrupt_file, "refused"),
            ),
            Fault(
                "empty_file",
                "the file is empty, without even a header",
                "refused as empty",
                _once(_empty_file, "refused"),
            ),
            Fault(
                "bad_encoding",
                "the file is Latin-1, with an accent in one row in ten",
                "refused: rows are not UTF-8",
                _once(_bad_encoding, "refused"),
            ),
            Fault(
                "byte_order_mark",
                "the file starts with a byte order mark",
                "published normally",
                _once(_byte_order_mark, "published"),
            ),
            Fault(
                "unknown_codes",
                f"one row in twenty names an unknown site, boutique or unit {UNKNOWN_CODE}",
                "published with a warning, counted as unknown",
                _once(_unknown_codes, "published"),
            ),
            Fault(
                "mixed_spellings",
                "callers' numbers are written 0299..., 02 99..., +33 2 99..., 0033... and 33...",
                "published; one number has one key, however it is written",
                _once(_mixed_spellings, "published"),
                feeds=("calls",),
            ),
        )
    }
)


# ---- which delivery each fault hits


@dataclass(frozen=True)
class FaultPlan:
    """The deliveries that faults hit, and what is in their place on the evening of `last`.

    `records` has one entry per hit delivery and evening on which it changed: what was done, and what loading
    it on that evening must give. A refused delivery has all its rows quarantined; its `rows_quarantined` is
    None.
    """

    first: date
    last: date
    seed: int
    hits: Mapping[tuple[str, date], Fault]
    earlier_records: list[dict[str, Any]]
    records: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        wanted: Iterable[str],
        landing: LandingZone,
        first: date,
        last: date,
        *,
        seed: int,
        is_working: Callable[[date], bool],
    ) -> FaultPlan:
        """Plan the faults, each written `name`, `name@feed` or `name@feed:date`.

        A fault without a date gets one in the range, on a working day if possible, and never a delivery that
        another fault hits. A given date may lie before the range if the fault still has stages to come, or if
        the landing zone records that it was made and is over; so the same faults can be asked for every
        night.

        Raises SimulationError for unknown faults, dates outside the range, and a delivery hit twice.
        """
        hits: dict[tuple[str, date], Fault] = {}
        calendar = _Calendar(first, last, seed, is_working, hits)
        earlier_records = landing.read_json(RECORDS) or []
        made = {(each["fault"], each["feed"], each["business_date"]) for each in earlier_records}
        aims = [_aim(text) for text in wanted]
        # Faults with given dates come first, then those that rely on the most other days.
        for fault, feed, day in sorted(aims, key=lambda aim: (aim[2] is None, -aim[0].like_days)):
            if day is None:
                day = calendar.choose(fault, feed)
            elif day > last or day + timedelta(days=fault.stages[-1].days_after) < first:
                if day < first and (fault.name, feed, day.isoformat()) in made:
                    continue
                raise SimulationError(
                    f"fault {fault.name}@{feed}:{day}: no part of it falls within {first} to {last}; "
                    "aim it at one of these dates"
                )
            if (feed, day) in hits:
                raise SimulationError(
                    f"{feed} {day}: hit by both {hits[feed, day].name} and {fault.name}; aim them at "
                    "different dates"
                )
            hits[feed, day] = fault
        return cls(first, last, seed, hits, earlier_records)

    @property
    def dates(self) -> list[date]:
        """The range's dates, preceded by earlier dates whose fault still has stages to come."""
        days = {self.first + timedelta(days=done) for done in range((self.last - self.first).days + 1)}
        return sorted(days | {day for _, day in self.hits})

    @property
    def aims(self) -> list[str]:
        """The faults with the deliveries they hit, in the form in which they can be asked for again."""
        return [
            f"{fault.name}@{feed}:{day}"
            for (feed, day), fault in sorted(self.hits.items(), key=lambda hit: hit[0])
        ]

    def concerns(self, feed: str, day: date) -> bool:
        """Whether this run writes the delivery: it is in the range, or its fault has stages to come."""
        return self.first <= day <= self.last or (feed, day) in self.hits

    def delivery(self, feed: str, day: date, rows: pl.DataFrame, made: Made) -> SimulatedDelivery | None:
        """What the landing zone holds for a feed and date on the evening of `last`; None if nothing does.

        Raises SimulationError if there are too few rows to spoil.
        """
        fault = self.hits.get((feed, day))
        if fault is None:
            return SimulatedDelivery.of(feed, day, rows)
        if rows.is_empty():
            raise SimulationError(
                f"{feed} {day} has no rows for {fault.name} to spoil; take a larger scale or aim it at "
                "another date"
            )
        found = None
        for stage in fault.stages:
            evening = day + timedelta(days=stage.days_after)
            if evening > self.last:
                break
            rng = stream(self.seed, f"fault {fault.name} {feed}", day)
            result = stage.make(CleanDelivery(feeds.get(feed), day, rows, made, rng))
            found = result.delivery
            self.records.append(
                {
                    "feed": feed,
                    "business_date": day.isoformat(),
                    "fault": fault.name,
                    "evening": evening.isoformat(),
                    "outcome": stage.outcome,
                    "rows_touched": result.touched,
                    "rows_quarantined": None if stage.outcome == "refused" else result.quarantined,
                    "names": result.names,
                    "like_days": fault.like_days,
                }
            )
        return found

    def write(self, landing: LandingZone) -> None:
        """Record the faults of all deliveries in the landing zone, including those of earlier runs."""
        kept = [
            record
            for record in self.earlier_records
            if not self.concerns(record["feed"], date.fromisoformat(record["business_date"]))
        ]
        if self.earlier_records or self.records:
            records = sorted(kept + self.records, key=lambda each: (each["evening"], each["feed"]))
            landing.write_json(RECORDS, records)


def _aim(text: str) -> tuple[Fault, str, date | None]:
    name, _, place = text.strip().partition("@")
    feed, _, day = place.partition(":")
    fault = FAULTS.get(name)
    if fault is None:
        raise SimulationError(f"no fault is called `{name}`; choose from {', '.join(FAULTS)}")
    if feed and feed not in fault.feeds:
        raise SimulationError(
            f"fault {text}: {name} applies to {', '.join(fault.feeds)}, not to `{feed}`; write "
            f"{name}@{fault.feeds[0]}"
        )
    try:
        return fault, feed or fault.feeds[0], date.fromisoformat(day) if day else None
    except ValueError:
        raise SimulationError(f"fault {text}: `{day}` is not a date YYYY-MM-DD") from None


@dataclass(frozen=True)
class _Calendar:
    """Chooses dates for faults without one."""

    first: date
    last: date
    seed: int
    is_working: Callable[[date], bool]
    hits: Mapping[tuple[str, date], Fault]

    def choose(self, fault: Fault, feed: str) -> date:
        """Choose a suitable date at random, if possible one that no other fault needs.

        Raises SimulationError if all of the feed's deliveries are already hit.
        """
        days = (self.first + timedelta(days=done) for done in range((self.last - self.first).days + 1))
        left = [day for day in days if (feed, day) not in self.hits]
        if not left:
            raise SimulationError(
                f"fault {fault.name}: every delivery of {feed} from {self.first} to {self.last} is hit "
                "already; widen the range"
            )
        needed = {
            (name, each) for (name, day), other in self.hits.items() for each in self._needs(other, day)
        }
        taken = {day for _, day in self.hits}

        def has_history(day: date) -> bool:
            intact = [each for each in self._needs(fault, day) if (feed, each) not in self.hits]
            return len(intact) >= max(fault.like_days, fault.needs_day_before)

        for preferred in (
            has_history,
            self.is_working,
            lambda day: (feed, day) not in needed,
            lambda day: day not in taken,
        ):
            left = [day for day in left if preferred(day)] or left
        rng = stream(self.seed, f"date of {fault.name} {feed}", self.first)
        return left[int(rng.integers(len(left)))]

    def _needs(self, fault: Fault, day: date) -> list[date]:
        """The working days of the range before `day` that the fault's promise relies on."""
        weeks = range(1, (day - self.first).days // 7 + 1) if fault.like_days else ()
        days = [day - timedelta(days=7 * ago) for ago in weeks]
        if fault.needs_day_before:
            days.append(day - timedelta(days=1))
        return [each for each in days if each >= self.first and self.is_working(each)]
