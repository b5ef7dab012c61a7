"""What suppliers' tools write: other spellings are read, placeholders mean empty, numbers are masked."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from parc.feeds import FEEDS
from parc.loading.blocks import WHITE_SPACE
from parc.loading.rows import CheckedBlock, ValueChange
from support.row_rules import GOOD, GOOD_ROWS, call, changes, check_block, checked_blocks

PLACEHOLDERS = [
    "NULL",
    "null",
    " Null ",
    "\\N",
    "N/A",
    "n/a",
    "#N/A",
    "NA",
    "-",
    "--",
    "(null)",
    "None",
    "NaN",
    "?",
    "NC",
    "N.C.",
    "nd",
    "XXXX",
    "zzzzzz",
    "vide",
    "(vide)",
    "sans",
    "non renseigné",
    "<NA>",
    "#REF!",
    "–",
    "———",
]


NOBODIES = ["UNKNOWN", "inconnu", "client inconnu", "test", "0", "0000", "00-00", "0.0", "ANONYME"]


@pytest.mark.parametrize(
    "text", ["", " ", "\r", "\v", "\x85", "\u2028", "\u2060", "\t", "\u00a0", "\n", *PLACEHOLDERS, *NOBODIES]
)
@pytest.mark.parametrize("feed", ["calls", "boutique_visits", "interventions"])
def test_a_placeholder_has_no_person_key(feed: str, text: str) -> None:
    references = [column.name for column in FEEDS[feed].file_columns if column.personal]
    references = [name for name in references if name.endswith("_ref")]
    row = GOOD_ROWS[feed] | dict.fromkeys(references, text)
    (stored,), rejected = check_block(feed, row)
    assert not rejected
    keys = [name for name in stored if name.endswith(("_key", "customer_identity")) and name != "caller_key"]
    assert {stored[name] for name in keys} == {None}
    reported = {column for column, change in changes(feed, row) if change is ValueChange.EMPTIED}
    assert reported == ({*references} if text.strip(WHITE_SPACE) else set())


@pytest.mark.parametrize("text", PLACEHOLDERS)
@pytest.mark.parametrize("feed", FEEDS)
def test_a_placeholder_is_null_in_every_nullable_column(feed: str, text: str) -> None:
    nullable = [column.name for column in FEEDS[feed].file_columns if column.nullable]
    nullable = [name for name in nullable if name not in ("queued_at", "answered_at")]  # needed once answered
    (expected,), _ = check_block(feed, GOOD_ROWS[feed] | dict.fromkeys(nullable, ""))
    (stored,), rejected = check_block(feed, GOOD_ROWS[feed] | dict.fromkeys(nullable, text))
    assert not rejected
    assert stored == expected


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_a_placeholder_as_key_is_rejected(text: str) -> None:
    _, (rejected,) = call(call_id=text)
    assert rejected.reason == "`call_id` is empty"
    _, (rejected,) = call(offered_at=text)
    assert rejected.reason == "`offered_at` is empty"


@pytest.mark.parametrize(
    "text", [*NOBODIES, "Private", "masqué", "Numéro masqué", "withheld", "anonymous", "NULL", "-"]
)
def test_withheld_numbers_are_recognised_in_any_wording(text: str) -> None:
    (stored,), rejected = call(caller_number=text)
    assert not rejected and stored["caller_key"] is None
    reported = changes("calls", GOOD | {"caller_number": text})
    assert bool(reported) == (text != "anonymous"), "agreed changes are not reported"


def test_a_placeholder_for_a_number_is_not_shown() -> None:
    """It may be the caller's name, as telephones show it."""
    for text in ("geheim", "KERFAUTRAS", "Mme Geheim", "3900"):
        _, (rejected,) = call(caller_number=text)
        assert rejected.value == "***"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2012-04-25T24:00:00+02:00", datetime(2012, 4, 25, 22, tzinfo=UTC)),
        ("2012-04-25T21:59:60Z", datetime(2012, 4, 25, 22, tzinfo=UTC)),
        ("2012-04-25T23+02:00", datetime(2012, 4, 25, 21, tzinfo=UTC)),
    ],
)
def test_end_of_day_leap_seconds_and_bare_hours_are_valid_instants(text: str, instant: datetime) -> None:
    (stored,), rejected = call(ended_at=text)
    assert not rejected and stored["ended_at"] == instant


@pytest.mark.parametrize("padding", [" {}\u00a0 ", "{}\r", "\v{}\f", "\u2028{}\x85", "\u2060{}\u2029"])
def test_padding_is_stripped(padding: str) -> None:
    padded = {name: padding.format(value) for name, value in GOOD.items()}
    assert check_block("calls", padded) == check_block("calls", GOOD)
    assert not changes("calls", padded)


@pytest.mark.parametrize("feed", FEEDS)
def test_the_good_rows_are_good(feed: str) -> None:
    (stored,), rejected = check_block(feed, GOOD_ROWS[feed])
    assert stored and not rejected and not changes(feed, GOOD_ROWS[feed])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2a", "2A"),
        ("02A", "2A"),
        ("1", "01"),
        ("035", "35"),
        ("FR-35", "35"),
        ("fr-2b", "2B"),
        ("1.0", "01"),
        ("35.0", "35"),
        ("0971", "971"),
        ("FR-971", "971"),
        ("20", "20"),
        ("975", "975"),
    ],
)
def test_a_department_in_another_spelling(text: str, code: str) -> None:
    (stored,), rejected = call(line_department=text)
    assert not rejected
    assert stored["line_department"] == code


@pytest.mark.parametrize("text", ["Bretagne", "35000", "2C", "FR-BRE", "3 5", "+33299123456"])
def test_an_invalid_department_is_rejected_by_name(text: str) -> None:
    _, (rejected,) = call(line_department=text)
    assert rejected.reason == "`line_department` is not a department code (35, 2A, 971)"


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("BRETAGNE", "Bretagne"),
        ("ile de france", "Île-de-France"),
        ("Provence Alpes Cote d’Azur", "Provence-Alpes-Côte d'Azur"),
        ("Franche Comte", "Franche-Comté"),
        ("LA REUNION", "La Réunion"),
    ],
)
def test_a_region_in_another_spelling(text: str, region: str) -> None:
    (stored,), rejected = check_block("numbering_plan", GOOD_ROWS["numbering_plan"] | {"region_2012": text})
    assert not rejected
    assert stored["region_2012"] == region
    _, (rejected,) = check_block(
        "numbering_plan", GOOD_ROWS["numbering_plan"] | {"region_2012": "Bretagne Sud"}
    )
    assert rejected.reason.startswith("`region_2012` is outside Alsace|")


@pytest.mark.parametrize(
    ("text", "value"), [("3.0", 3), ("3.", 3), ("3.000", 3), ("+3", 3), ("03", 3), (" 3 ", 3), ("-0", 0)]
)
def test_a_whole_number_in_another_spelling(text: str, value: int) -> None:
    (stored,), rejected = call(talk_s=text)
    assert not rejected
    assert stored["talk_s"] == value


@pytest.mark.parametrize("text", ["3.5", "1 200", "1,200", "1e3", "0x10", "three", ".0"])
def test_an_invalid_whole_number_is_rejected(text: str) -> None:
    _, (rejected,) = call(talk_s=text)
    assert rejected.reason == "`talk_s` is not a whole number"


@pytest.mark.parametrize(
    "text", ["9999-12-31", "9999-12-31T00:00:00", "99991231", "2999-12-31", "2099-12-31 00:00:00"]
)
def test_a_shop_with_a_far_future_closing_date_is_open(text: str) -> None:
    (stored,), rejected = check_block("boutiques", GOOD_ROWS["boutiques"] | {"closed_on": text})
    assert not rejected
    assert stored["closed_on"] is None
    assert not changes("boutiques", GOOD_ROWS["boutiques"] | {"closed_on": text})
    _, (rejected,) = check_block("boutiques", GOOD_ROWS["boutiques"] | {"opened_on": text})
    assert rejected.reason == "`opened_on` is not from 1912-04-25 to 2015-04-30"


@pytest.mark.parametrize(
    "text",
    [
        "2012-05-31",
        "2012-05-31T00:00:00",
        "2012-05-31 00:00:00.000000",
        "20120531",
        "2012-05-31T00:00:00Z",
        "2012-05-31T00:00:00.000+02:00",
    ],
)
def test_a_date_in_another_spelling(text: str) -> None:
    (stored,), _ = check_block("boutiques", GOOD_ROWS["boutiques"] | {"closed_on": text})
    assert stored["closed_on"] == date(2012, 5, 31)
    for other in ("2012-05-32", "31/05/2012", "2012-05-31T12:00:00"):
        _, (rejected,) = check_block("boutiques", GOOD_ROWS["boutiques"] | {"closed_on": other})
        assert rejected.reason == "`closed_on` is not a date YYYY-MM-DD"


@pytest.mark.parametrize(
    ("feed", "column", "text", "first", "last"),
    [
        ("calls", "queued_at", "2012-06-25T08:00:09+02:00", "2012-04-25", "2012-04-26"),
        ("calls", "ended_at", "2012-06-25T08:03:00+02:00", "2012-04-25", "2012-04-26"),
        ("calls", "ended_at", "9999-12-31T23:59:59Z", "2012-04-25", "2012-04-26"),
        ("boutique_visits", "left_at", "2012-04-27T00:00:00+02:00", "2012-04-25", "2012-04-26"),
        ("interventions", "updated_at", "2012-01-25T18:00:00+01:00", "2012-03-25", "2012-04-26"),
        ("interventions", "requested_at", "1970-01-01T00:00:00Z", "2002-04-18", "2012-04-26"),
        ("interventions", "slot_end", "2102-04-25T16:00:00+02:00", "2002-04-18", "2013-04-26"),
        ("interventions", "closed_at", "2013-04-25T15:00:00+02:00", "2002-04-18", "2012-04-26"),
        ("active_lines", "month", "2102-04", "2002-04-01", "2014-04-27"),
        ("boutiques", "closed_on", "2045-01-01", "1912-04-25", "2015-04-30"),
    ],
)
def test_an_instant_far_from_the_delivery_date_is_rejected(
    feed: str, column: str, text: str, first: str, last: str
) -> None:
    _, (rejected,) = check_block(feed, GOOD_ROWS[feed] | {column: text})
    assert (rejected.column, rejected.reason) == (column, f"`{column}` is not from {first} to {last}")


def test_the_edges_of_a_window_are_local_days() -> None:
    late = GOOD | {
        "offered_at": "2012-04-25T23:59:59+02:00",
        "queued_at": "",
        "answered_at": "",
        "outcome": "blocked",
    }
    stored, rejected = check_block("calls", late | {"ended_at": "2012-04-26T23:59:59.999999+02:00"})
    assert stored and not rejected
    stored, rejected = check_block("calls", late | {"ended_at": "2012-04-27T00:00:00+02:00"})
    assert not stored and rejected


DIALLED = [
    "3900",
    "15",
    "112",
    "118712",
    "0800123456",
    "+33800123456",
    "0299120000",
]


@pytest.mark.parametrize("text", DIALLED)
def test_a_service_number_is_kept(text: str) -> None:
    (stored,), rejected = call(dialled_number=text)
    assert not rejected
    assert stored["dialled_number"] == text
    assert not changes("calls", GOOD | {"dialled_number": text})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0899 70 02 94", "0899700294"),
        ("+333900", "3900"),
        ("39-00", "3900"),
        ("+33 3900", "3900"),
        ("003900", "3900"),
        ("3900.0", "3900"),
        ("00 33 39 00", "3900"),
    ],
)
def test_a_service_number_in_another_spelling(text: str, number: str) -> None:
    (stored,), rejected = call(dialled_number=text)
    assert not rejected
    assert stored["dialled_number"] == number
    assert not changes("calls", GOOD | {"dialled_number": text})


@pytest.mark.parametrize(
    "text", ["0299120001", "+33299120001", "02 99 12 00 01", "0612345678", "1234567", "sip:x@y"]
)
def test_other_dialled_numbers_are_masked_and_counted(text: str) -> None:
    (stored,), rejected = call(dialled_number=text)
    assert not rejected
    assert stored["dialled_number"] == "***"
    rows = [
        GOOD | {"call_id": f"c{number}", "dialled_number": each}
        for number, each in enumerate(["3900", text, text])
    ]
    assert changes("calls", *rows) == {("dialled_number", ValueChange.NO_SERVICE): (2, 3)}


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("text", ["0299123456", "+33 2 99 12 34 56", "rappeler 02.99.12.34.56 svp"])
def test_a_number_in_a_column_of_text_is_masked_and_counted(feed: str, text: str) -> None:
    declared = FEEDS[feed]
    free = [
        column.name for column in declared.file_columns if column.is_free and column.name not in declared.key
    ]
    row = GOOD_ROWS[feed] | dict.fromkeys(free, text)
    (stored,), rejected = check_block(feed, row)
    assert not rejected
    assert {stored[name] for name in free} <= {"***", "rappeler *** svp"}
    assert set(changes(feed, row)) == {(name, ValueChange.MASKED) for name in free}


@pytest.mark.parametrize("text", ["+33299123456", "02 99 12 34 56", "call-02.99.12.34.56", "0033299123456"])
def test_a_number_as_a_key_rejects_the_row_masked(text: str) -> None:
    for feed, key in (
        ("calls", "call_id"),
        ("boutique_visits", "visit_id"),
        ("interventions", "job_id"),
        ("boutiques", "boutique_code"),
    ):
        _, (rejected,) = check_block(feed, GOOD_ROWS[feed] | {key: text})
        assert rejected.reason == f"`{key}` holds a telephone number"
        assert rejected.value is not None and rejected.value.endswith("***")
        assert "12" not in rejected.value and text not in rejected.text


def test_a_digits_only_key_is_ambiguous_and_shown_as_a_digest() -> None:
    rows = [GOOD | {"call_id": text} for text in ("0299123456", "c2", "call-0299123456", "20120425-0000001")]
    (found,) = checked_blocks("calls", *rows, GOOD | {"call_id": "0299123457", "market": "fax"})
    assert found.doubtful.to_list() == [2, 4]
    assert found.rows["call_id"].to_list() == [row["call_id"] for row in rows]
    (rejected,) = found.rejected
    assert rejected.text.startswith("#") and "0299123457" not in rejected.text
    (other,) = check_block("calls", GOOD | {"call_id": "0299123458", "market": "fax"})[1]
    assert rejected.text[:13] != other.text[:13]


def test_a_long_value_is_cut() -> None:
    _, (rejected,) = call(market="x" * 500)
    assert rejected.value == "x" * 59 + "…"


def test_the_verdict_on_a_row_does_not_depend_on_its_position() -> None:
    """In blocks of any size, with any neighbours, the stored rows and the messages are the same."""
    odd = {
        "call_id": ["0299123456", "NULL", "", "+33299123456", " c "],
        "leg_no": ["1.0", "x", "40000", " 1"],
        "offered_at": ["2012-04-25T08:00+02:00", "20120425T060000Z", "2012-04-25 08:00:00Z", "NULL"],
        "queued_at": ["2012-04-25T08:00:09,5+02:00", "-", "2012-12-25T08:00:09+02:00"],
        "caller_number": ["anonymous", "NULL", "02 99 12 34 56", "+262262123456", "x", "tel:0299123456"],
        "dialled_number": ["0299123456", "0800 123 456", ""],
        "market": ["Internet", "internet ", "0299123456"],
        "customer_ref": [" ", "\\N", "K1  ", '"K""1"', "0299123456", "é"],
        "line_department": ["2a", "1", "zz", "N/A"],
        "site_code": ["0299123456", "N/A", "Œuvre", "02 99 12 34 56 puis 0299123457"],
        "transferred_to": ["rappeler 0299123456", "-"],
        "talk_s": ["3.0", "4294967295", "NaN", "+3"],
    }
    rows = [GOOD | {"call_id": f"c{number}"} for number in range(4)]
    for name, texts in odd.items():
        for text in texts:
            rows += [
                GOOD | {"call_id": f"c{len(rows)}"} | {name: text},
                GOOD | {"call_id": f"c{len(rows) + 1}"},
            ]

    def verdicts(found: list[CheckedBlock]) -> list[object]:
        stored = {row["line_number"]: row for each in found for row in each.rows.to_dicts()}
        reported = {each.line: each for one in found for each in one.rejected}
        doubtful = [line for each in found for line in each.doubtful]
        assert len(stored) + len(reported) == len(rows)
        return [stored, reported, doubtful]

    whole = verdicts(checked_blocks("calls", *rows))
    for block_bytes in (1, 150, 400, 5_000):
        assert verdicts(checked_blocks("calls", *rows, block_bytes=block_bytes)) == whole
