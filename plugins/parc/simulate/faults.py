"""Named faults: what goes wrong with deliveries in real life, made on request and as repeatable as the rest.

A fault hits one delivery. What it leaves in the landing zone is told per evening (`Turn`): a late delivery
is absent at first and there two days later. The landing zone of a simulated range is as it stands on the
evening of the range's last date, so that night after night tells the whole story.
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
from parc.simulate.writing import COMPRESSED, CONTROL, Delivery, LandingZone

DAILY = tuple(feed.name for feed in feeds.FEEDS.values() if feed.keeping is Keeping.DAYS)
RECORDS = "faults.json"
UNKNOWN_CODE = "ZZ999"

_PLACES = {"calls": "site_code", "boutique_visits": "boutique_code", "interventions": "unit_code"}

Outcome = Literal["published", "refused", "missing", "unchanged"]
Made = Callable[[date], Mapping[str, pl.DataFrame]]


@dataclass(frozen=True)
class Clean:
    """A good delivery for a fault to spoil: its rows, its chance, and those of the day before if need be."""

    feed: Feed
    day: date
    rows: pl.DataFrame
    made: Made
    rng: np.random.Generator

    @property
    def rows_before(self) -> pl.DataFrame:
        """The delivery of the day before.

        Raises SimulationError where it is empty.
        """
        rows = self.made(self.day - timedelta(days=1))[self.feed.name]
        if rows.is_empty():
            raise SimulationError(
                f"{self.feed.name} {self.day}: the day before has no rows to take; "
                "aim the fault at another date"
            )
        return rows

    def delivery(self, rows: pl.DataFrame | None = None) -> Delivery:
        """A delivery of these rows, or of the good ones."""
        return Delivery.of(self.feed.name, self.day, self.rows if rows is None else rows)

    def text(self) -> bytes:
        """The good file before it is compressed."""
        return self.rows.rechunk().write_csv().encode()

    def chosen(self, share: float) -> Bools:
        """Whether each row is among a share of them drawn by chance, at least one."""
        total = self.rows.height
        marks = np.zeros(total, dtype=np.bool_)
        marks[self.rng.permutation(total)[: max(1, int(share * total))]] = True
        return marks

    def few(self) -> Bools:
        """Rows that may be bad without the delivery being refused: half as many as the feed allows.

        Raises SimulationError where a single one is too many.
        """
        if self.feed.reject_limit * self.rows.height < 1:
            raise SimulationError(
                f"{self.feed.name} {self.day}: of {self.rows.height} rows a single bad one is above the "
                f"reject limit; take a larger scale or aim the fault at another date"
            )
        return self.chosen(self.feed.reject_limit / 2)


@dataclass(frozen=True)
class Spoilt:
    """What a fault made: the delivery (None = none), the rows it touched, those to be quarantined.

    `names` is what the ledger's reason, its warnings or the quarantined rows' reasons are to name.
    """

    delivery: Delivery | None
    touched: int
    quarantined: int = 0
    names: str | None = None


@dataclass(frozen=True)
class Turn:
    """What lies in the landing zone from some days after the business date on, and what loading it gives."""

    days_after: int
    make: Callable[[Clean], Spoilt]
    outcome: Outcome


@dataclass(frozen=True)
class Fault:
    """One named fault: what it does, what the platform promises to make of it, the feeds that may have it.

    `like_days` is how many published days of the same kind the promise stands on; `needs_day_before` that
    it takes rows of the day before.
    """

    name: str
    does: str
    promise: str
    turns: tuple[Turn, ...]
    feeds: tuple[str, ...] = DAILY
    like_days: int = 0
    needs_day_before: bool = False


# ---- one function per fault


def _clean(clean: Clean) -> Spoilt:
    return Spoilt(clean.delivery(), 0)


def _absent(clean: Clean) -> Spoilt:
    return Spoilt(None, clean.rows.height)


def _bad_rows(clean: Clean) -> Spoilt:
    chosen = clean.few()
    count = int(chosen.sum())
    return Spoilt(clean.delivery(_capitalised(clean, chosen)), count, count, _enumerated(clean.feed).name)


def _too_many_bad_rows(clean: Clean) -> Spoilt:
    chosen = clean.chosen(5 * clean.feed.reject_limit)
    rows = _capitalised(clean, chosen)
    return Spoilt(clean.delivery(rows), int(chosen.sum()), names=_enumerated(clean.feed).name)


def _missing_column(clean: Clean) -> Spoilt:
    name = _enumerated(clean.feed).name
    return Spoilt(clean.delivery(clean.rows.drop(name)), clean.rows.height, names=f"lacks column `{name}`")


def _unknown_column(clean: Clean) -> Spoilt:
    rows = clean.rows.with_columns(supplier_note=pl.lit("v2"))
    return Spoilt(clean.delivery(rows), rows.height, names="unknown column `supplier_note`")


def _renamed_column(clean: Clean) -> Spoilt:
    name = _enumerated(clean.feed).name
    rows = clean.rows.rename({name: f"{name}_label"})
    return Spoilt(clean.delivery(rows), rows.height, names=f"unknown column `{name}_label`")


def _retyped_column(clean: Clean) -> Spoilt:
    columns = clean.feed.file_columns
    number = next((column for column in columns if column.type is Type.INTEGER), None)
    if number:
        name, text = number.name, pl.col(number.name).cast(pl.String) + ",0"
    else:
        name = next(column.name for column in columns if column.type is Type.INSTANT and not column.nullable)
        text = pl.col(name).str.replace(r"^(\d{4})-(\d\d)-(\d\d)T([0-9:]+).*$", "${3}/${2}/${1} ${4}")
    touched = clean.rows.height - clean.rows[name].null_count()
    rows = clean.rows.with_columns(text.alias(name))
    return Spoilt(clean.delivery(rows), touched, names=f"`{name}` is not")


def _duplicates(clean: Clean) -> Spoilt:
    copies = clean.rows.filter(clean.few())
    rows = pl.concat([clean.rows, copies])
    return Spoilt(clean.delivery(rows), copies.height, copies.height, "duplicate of")


def _repeated_keys(clean: Clean) -> Spoilt:
    key, before = clean.feed.key[0], clean.rows_before
    count = max(1, int(clean.rows.height / 100))
    if not clean.feed.dated_by:
        again = _drawn(clean, before, count)
        return Spoilt(clean.delivery(pl.concat([again, clean.rows])), again.height)
    # A row of another date would be quarantined: here a counter started again, and ids come twice.
    alone = pl.len().over(key) == 1
    taken, given = (_drawn(clean, rows.filter(alone), count)[key] for rows in (before, clean.rows))
    count = min(taken.len(), given.len())
    ids = pl.col(key).replace(given.head(count), taken.head(count))
    return Spoilt(clean.delivery(clean.rows.with_columns(ids)), count)


def _first_version(clean: Clean) -> Spoilt:
    """Three rows in a hundred are not there yet; two in a hundred hold another code."""
    name = _free_text(clean.feed).name
    codes = clean.rows[name].drop_nulls().unique().sort().head(2).to_list()
    one, other = codes if len(codes) == 2 else ("bill", "fault")
    coded_anew = pl.when(pl.col(name).eq_missing(one)).then(pl.lit(other)).otherwise(pl.lit(one))
    lot = pl.Series(clean.rng.random(clean.rows.height))
    altered = clean.rows.with_columns(pl.when(lot > 0.98).then(coded_anew).otherwise(name).alias(name))
    touched = int(((lot < 0.03) | (lot > 0.98)).sum())
    return Spoilt(clean.delivery(altered.filter(lot >= 0.03)), touched)


def _truncated_gzip(clean: Clean) -> Spoilt:
    content = clean.delivery().content
    cut = _of_content(clean, content[: len(content) * 2 // 3])
    return Spoilt(cut, clean.rows.height, names="gzip stream is cut off")


def _volume_collapse(clean: Clean) -> Spoilt:
    key = clean.feed.key[0]
    ids = clean.rows[key].unique(maintain_order=True)
    kept = ids.filter(pl.Series(clean.rng.random(ids.len()) < 0.35))
    rows = clean.rows.filter(pl.col(key).is_in(kept.implode()))
    return Spoilt(clean.delivery(rows), clean.rows.height - rows.height, names="of the usual")


def _volume_surge(clean: Clean) -> Spoilt:
    key = clean.feed.key[0]
    ids = clean.rows[key].unique(maintain_order=True)
    again = ids.filter(pl.Series(clean.rng.random(ids.len()) < 0.6))
    copies = clean.rows.filter(pl.col(key).is_in(again.implode())).with_columns(pl.col(key) + "-2")
    return Spoilt(clean.delivery(pl.concat([clean.rows, copies])), copies.height, names="of the usual")


def _wrong_date(clean: Clean) -> Spoilt:
    strays = clean.rows_before.tail(int(clean.few().sum()))
    rows = pl.concat([strays, clean.rows])
    return Spoilt(
        clean.delivery(rows), strays.height, strays.height, f"`{clean.feed.dated_by}` is not on {clean.day}"
    )


def _control_mismatch(clean: Clean) -> Spoilt:
    delivery = clean.delivery()
    return Spoilt(replace(delivery, rows=delivery.rows + 25), 0, names=f"{CONTROL} says")


def _corrupt_file(clean: Clean) -> Spoilt:
    delivery = clean.delivery()
    content = bytearray(delivery.content)
    content[len(content) // 2] ^= 0x20
    return Spoilt(replace(delivery, content=bytes(content)), 1, names="sha256")


def _empty_file(clean: Clean) -> Spoilt:
    return Spoilt(
        Delivery.of_text(clean.feed.name, clean.day, b"", rows=0), clean.rows.height, names="it is empty"
    )


def _bad_encoding(clean: Clean) -> Spoilt:
    name = _free_text(clean.feed).name
    chosen = clean.chosen(0.1)
    marked = pl.when(pl.Series(chosen)).then(pl.lit("dérangement")).otherwise(name)
    text = clean.rows.with_columns(marked.alias(name)).write_csv().encode("latin-1")
    delivery = Delivery.of_text(clean.feed.name, clean.day, text, rows=clean.rows.height)
    return Spoilt(delivery, int(chosen.sum()), names="is not UTF-8")


def _byte_order_mark(clean: Clean) -> Spoilt:
    text = codecs.BOM_UTF8 + clean.text()
    return Spoilt(Delivery.of_text(clean.feed.name, clean.day, text, rows=clean.rows.height), 0)


def _unknown_codes(clean: Clean) -> Spoilt:
    name = _PLACES[clean.feed.name]
    chosen = pl.Series(clean.chosen(0.05)) & clean.rows[name].is_not_null()
    rows = clean.rows.with_columns(pl.when(chosen).then(pl.lit(UNKNOWN_CODE)).otherwise(name).alias(name))
    return Spoilt(clean.delivery(rows), int(chosen.sum()), names=UNKNOWN_CODE)


def _mixed_spellings(clean: Clean) -> Spoilt:
    name = next(column.name for column in clean.feed.file_columns if column.personal is Personal.NUMBER)
    number = pl.col(name)
    digits = number.str.replace(r"^\+(?:33)?", "0")
    spelt = (
        digits,
        digits.str.replace(r"^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$", "$1 $2 $3 $4 $5"),
        number.str.replace(r"^\+33(\d)(\d\d)(\d\d)(\d\d)(\d\d)$", "+33 $1 $2 $3 $4 $5"),
        number.str.replace(r"^\+33", "0033"),
        number.str.replace(r"^\+33", "33"),
    )
    is_mainland = number.str.contains(r"^\+33[1-9]\d{8}$").fill_null(False)
    lot = pl.Series(clean.rng.integers(len(spelt), size=clean.rows.height))
    which = pl.coalesce(pl.when(lot == place).then(text) for place, text in enumerate(spelt))
    rows = clean.rows.with_columns(pl.when(is_mainland).then(which).otherwise(number).alias(name))
    return Spoilt(clean.delivery(rows), int((rows[name] != clean.rows[name]).sum()))


def _enumerated(feed: Feed) -> Column:
    return next(column for column in feed.file_columns if column.one_of and not column.nullable)


def _free_text(feed: Feed) -> Column:
    """The last text column that takes any word: why a contact came about."""
    return next(
        column
        for column in reversed(feed.file_columns)
        if column.type is Type.TEXT and not (column.one_of or column.form or column.personal)
    )


def _capitalised(clean: Clean, chosen: Bools) -> pl.DataFrame:
    name = _enumerated(clean.feed).name
    written = pl.when(pl.Series(chosen)).then(pl.col(name).str.to_titlecase()).otherwise(name)
    return clean.rows.with_columns(written.alias(name))


def _drawn(clean: Clean, rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """Some of the rows, in their order."""
    return rows[np.sort(clean.rng.permutation(rows.height)[:count])]


def _of_content(clean: Clean, content: bytes) -> Delivery:
    return replace(clean.delivery(), content=content, sha256=hashlib.sha256(content).hexdigest())


# ---- all of them


def _once(make: Callable[[Clean], Spoilt], outcome: Outcome) -> tuple[Turn, ...]:
    return (Turn(0, make, outcome),)


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
                "refused, naming the column that is lacking",
                _once(_missing_column, "refused"),
            ),
            Fault(
                "unknown_column",
                "the file has a column more",
                "refused, naming the column that is unknown",
                _once(_unknown_column, "refused"),
            ),
            Fault(
                "renamed_column",
                "a column has another name",
                "refused, naming the lacking and the unknown column",
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
                "a few rows come twice in the file",
                "published; the first of each key stays, later copies are quarantined",
                _once(_duplicates, "published"),
            ),
            Fault(
                "repeated_keys",
                "one row in a hundred has a key that the day before used already",
                "published; the earliest date keeps the key, the marts count the others",
                _once(_repeated_keys, "published"),
                needs_day_before=True,
            ),
            Fault(
                "late",
                "the delivery comes two days after its date",
                "missing until then; published when it is there, with the same marts in the end",
                (Turn(0, _absent, "missing"), Turn(2, _clean, "published")),
            ),
            Fault(
                "missing",
                "the delivery never comes",
                "shown as due and missing",
                _once(_absent, "missing"),
            ),
            Fault(
                "restated",
                "a first version lacks rows and codes; two days later the good one replaces it",
                "published twice; the second supersedes the first and says what changed",
                (Turn(0, _first_version, "published"), Turn(2, _clean, "published")),
            ),
            Fault(
                "same_again",
                "a day later the same bytes are delivered once more",
                "nothing happens: the same bytes are published already",
                (Turn(0, _clean, "published"), Turn(1, _clean, "unchanged")),
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
                "two rows in three are not there",
                "refused against the median of four like days; with fewer of them published with a warning",
                _once(_volume_collapse, "refused"),
                like_days=4,
            ),
            Fault(
                "volume_surge",
                "60 % more rows than there should be",
                "published with a warning, from one like day of history on",
                _once(_volume_surge, "published"),
                like_days=1,
            ),
            Fault(
                "wrong_date",
                "the last rows of the day before come again at the top",
                _QUARANTINED,
                _once(_wrong_date, "published"),
                feeds=tuple(name for name in DAILY if feeds.get(name).dated_by),
                needs_day_before=True,
            ),
            Fault(
                "control_mismatch",
                "the control file says 25 rows more than the file holds",
                "refused, naming both numbers",
                _once(_control_mismatch, "refused"),
            ),
            Fault(
                "corrupt_file",
                "a byte changed after the control file was made",
                "refused: the file's sha256 is another",
                _once(_corrupt_file, "refused"),
            ),
            Fault(
                "empty_file",
                "the file holds nothing, not even a header",
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
                "the file begins with a byte order mark",
                "published as if it did not",
                _once(_byte_order_mark, "published"),
            ),
            Fault(
                "unknown_codes",
                f"one row in twenty names a site, boutique or unit {UNKNOWN_CODE} that nobody knows",
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


# ---- which delivery each one hits


@dataclass(frozen=True)
class Story:
    """The deliveries that faults hit, and what lies in their place on the evening of `last`.

    `records` tells, for each of them and each evening on which something about it changed, what was done
    and what loading it on that evening is to give. Of a refused delivery all rows read are quarantined:
    `rows_quarantined` is then None.
    """

    first: date
    last: date
    seed: int
    hits: Mapping[tuple[str, date], Fault]
    told_before: list[dict[str, Any]]
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
    ) -> Story:
        """The story of faults written `name`, `name@feed` or `name@feed:date`.

        Those without a date get one in the range each, a working day where there is one, and never the
        same delivery. An aimed date may lie before the range where the fault's story goes on, or where the
        landing zone tells that it was made and is over: the same faults may be asked for night after night.

        Raises SimulationError for what is unknown, outside the range or hit twice.
        """
        hits: dict[tuple[str, date], Fault] = {}
        calendar = _Calendar(first, last, seed, is_working, hits)
        told_before = landing.read_json(RECORDS) or []
        made = {(each["fault"], each["feed"], each["business_date"]) for each in told_before}
        aims = [_aim(text) for text in wanted]
        # What stands on other days chooses first.
        for fault, feed, day in sorted(aims, key=lambda aim: (aim[2] is None, -aim[0].like_days)):
            if day is None:
                day = calendar.choose(fault, feed)
            elif day > last or day + timedelta(days=fault.turns[-1].days_after) < first:
                if day < first and (fault.name, feed, day.isoformat()) in made:
                    continue
                raise SimulationError(
                    f"fault {fault.name}@{feed}:{day}: nothing of it falls into {first} to {last}; "
                    "aim it at one of these dates"
                )
            if (feed, day) in hits:
                raise SimulationError(
                    f"{feed} {day}: hit by both {hits[feed, day].name} and {fault.name}; aim them at "
                    "different dates"
                )
            hits[feed, day] = fault
        return cls(first, last, seed, hits, told_before)

    @property
    def dates(self) -> list[date]:
        """The range's dates, preceded by those of deliveries before it whose story goes on."""
        days = {self.first + timedelta(days=done) for done in range((self.last - self.first).days + 1)}
        return sorted(days | {day for _, day in self.hits})

    @property
    def aims(self) -> list[str]:
        """The faults with the deliveries they hit, as they may be asked for again."""
        return [
            f"{fault.name}@{feed}:{day}"
            for (feed, day), fault in sorted(self.hits.items(), key=lambda hit: hit[0])
        ]

    def concerns(self, feed: str, day: date) -> bool:
        """Whether the range writes this delivery: it is of the range, or a fault of it still goes on."""
        return self.first <= day <= self.last or (feed, day) in self.hits

    def delivery(self, feed: str, day: date, rows: pl.DataFrame, made: Made) -> Delivery | None:
        """What lies there for a feed and date on the evening of `last`; None = nothing.

        Raises SimulationError where a fault finds too few rows to spoil.
        """
        fault = self.hits.get((feed, day))
        if fault is None:
            return Delivery.of(feed, day, rows)
        if rows.is_empty():
            raise SimulationError(
                f"{feed} {day} has no rows for {fault.name} to spoil; take a larger scale or aim it at "
                "another date"
            )
        found = None
        for turn in fault.turns:
            evening = day + timedelta(days=turn.days_after)
            if evening > self.last:
                break
            rng = stream(self.seed, f"fault {fault.name} {feed}", day)
            spoilt = turn.make(Clean(feeds.get(feed), day, rows, made, rng))
            found = spoilt.delivery
            self.records.append(
                {
                    "feed": feed,
                    "business_date": day.isoformat(),
                    "fault": fault.name,
                    "evening": evening.isoformat(),
                    "outcome": turn.outcome,
                    "rows_touched": spoilt.touched,
                    "rows_quarantined": None if turn.outcome == "refused" else spoilt.quarantined,
                    "names": spoilt.names,
                    "like_days": fault.like_days,
                }
            )
        return found

    def write(self, landing: LandingZone) -> None:
        """Tell the faults of all deliveries that lie in the landing zone, those of earlier runs included."""
        kept = [
            record
            for record in self.told_before
            if not self.concerns(record["feed"], date.fromisoformat(record["business_date"]))
        ]
        if self.told_before or self.records:
            told = sorted(kept + self.records, key=lambda each: (each["evening"], each["feed"]))
            landing.write_json(RECORDS, told)


def _aim(text: str) -> tuple[Fault, str, date | None]:
    name, _, place = text.strip().partition("@")
    feed, _, day = place.partition(":")
    fault = FAULTS.get(name)
    if fault is None:
        raise SimulationError(f"no fault is called `{name}`; there are {', '.join(FAULTS)}")
    if feed and feed not in fault.feeds:
        raise SimulationError(
            f"fault {text}: {name} is made in {', '.join(fault.feeds)}, not in `{feed}`; write "
            f"{name}@{fault.feeds[0]}"
        )
    try:
        return fault, feed or fault.feeds[0], date.fromisoformat(day) if day else None
    except ValueError:
        raise SimulationError(f"fault {text}: `{day}` is no date YYYY-MM-DD") from None


@dataclass(frozen=True)
class _Calendar:
    """Chooses dates for faults that were not given one."""

    first: date
    last: date
    seed: int
    is_working: Callable[[date], bool]
    hits: Mapping[tuple[str, date], Fault]

    def choose(self, fault: Fault, feed: str) -> date:
        """A date that suits the fault, by chance: where there is a choice, one that no other fault needs.

        Raises SimulationError where all of the feed's deliveries are hit.
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

        def is_founded(day: date) -> bool:
            sound = [each for each in self._needs(fault, day) if (feed, each) not in self.hits]
            return len(sound) >= max(fault.like_days, fault.needs_day_before)

        for suits in (
            is_founded,
            self.is_working,
            lambda day: (feed, day) not in needed,
            lambda day: day not in taken,
        ):
            left = [day for day in left if suits(day)] or left
        rng = stream(self.seed, f"date of {fault.name} {feed}", self.first)
        return left[int(rng.integers(len(left)))]

    def _needs(self, fault: Fault, day: date) -> list[date]:
        """The working days of the range before `day` on which the fault's promise stands."""
        weeks = range(1, (day - self.first).days // 7 + 1) if fault.like_days else ()
        days = [day - timedelta(days=7 * ago) for ago in weeks]
        if fault.needs_day_before:
            days.append(day - timedelta(days=1))
        return [each for each in days if each >= self.first and self.is_working(each)]
