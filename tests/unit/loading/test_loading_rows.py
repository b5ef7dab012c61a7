"""Row rules, derived columns and masks, as declared."""

from __future__ import annotations

import hmac
from datetime import UTC, date, datetime

import pytest

from parc.feeds import FEEDS
from parc.loading.rows import ValueChange
from support.row_rules import DAY, GOOD, GOOD_ROWS, SECRET, call, changes, check_block


def digest(text: str) -> bytes:
    return hmac.digest(SECRET, text.encode(), "sha256")


def key(text: str) -> int:
    return int.from_bytes(digest(text)[:16], "big")


def identity(text: str) -> int:
    return int.from_bytes(digest(text)[:8], "big", signed=True)


def test_a_good_row_is_stored_typed_and_pseudonymised() -> None:
    (stored,), rejected = call()
    assert not rejected
    assert stored == {
        "business_date": DAY,
        "file_number": 1,
        "line_number": 2,
        "call_id": "c1",
        "leg_no": 1,
        "offered_at": datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC),
        "queued_at": datetime(2012, 4, 25, 6, 0, 9, tzinfo=UTC),
        "answered_at": datetime(2012, 4, 25, 6, 0, 20, tzinfo=UTC),
        "ended_at": datetime(2012, 4, 25, 6, 3, 0, tzinfo=UTC),
        "caller_key": key("+33299123456"),
        "caller_prefix": "029912",
        "dialled_number": "3900",
        "market": "fixe",
        "customer_key": key("C0042"),
        "line_department": "35",
        "site_code": "RENNES",
        "queue_code": "Q1",
        "outcome": "answered",
        "agent_key": key("A7"),
        "hold_s": 0,
        "talk_s": 160,
        "wrap_up_s": 20,
        "transferred_to": None,
        "reason_code": "bill",
        "satisfaction": 5,
        "recommend": 10,
        "customer_identity": identity("C0042"),
        "caller_identity": None,
        "row_identity": None,
    }


def test_identities_are_signed() -> None:
    stored, _ = check_block(
        "calls",
        *(GOOD | {"call_id": f"c{number}", "caller_number": "", "customer_ref": ""} for number in range(20)),
    )
    assert [row["row_identity"] for row in stored] == [identity(f"row:c{number}") for number in range(20)]
    assert len({row["row_identity"] > 0 for row in stored}) == 2


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        "anonymous",
        "Anonymous",
        "RESTRICTED",
        "unavailable",
        "+266696687",
        "+266 69 66 87",
        "00266696687",
        "NULL",
        " ",
        "-",
    ],
)
def test_a_withheld_number_has_no_key(spelling: str) -> None:
    (stored,), rejected = call(caller_number=spelling)
    assert not rejected
    assert (stored["caller_key"], stored["caller_prefix"], stored["caller_identity"]) == (None, None, None)


@pytest.mark.parametrize(
    ("spelling", "number", "prefix"),
    [
        ("0299123456", "+33299123456", "029912"),
        ("02 99 12 34 56", "+33299123456", "029912"),
        ("02.99.12.34.56", "+33299123456", "029912"),
        ("+33 2 99 12 34 56", "+33299123456", "029912"),
        ("+33 (0)2 99 12 34 56", "+33299123456", "029912"),
        ("0033299123456", "+33299123456", "029912"),
        ("33299123456", "+33299123456", "029912"),
        ("0612345678", "+33612345678", "061234"),
        ("0262123456", "+262262123456", "026212"),
        ("+33262123456", "+262262123456", "026212"),
        ("+262 262 12 34 56", "+262262123456", "026212"),
        ("00262262123456", "+262262123456", "026212"),
        ("+262 0262 12 34 56", "+262262123456", "026212"),
        ("0269123456", "+262269123456", "026912"),
        ("0639123456", "+262639123456", "063912"),
        ("0692123456", "+262692123456", "069212"),
        ("0693123456", "+262693123456", "069312"),
        ("0590123456", "+590590123456", "059012"),
        ("0690123456", "+590690123456", "069012"),
        ("0691123456", "+590691123456", "069112"),
        ("0594123456", "+594594123456", "059412"),
        ("0694123456", "+594694123456", "069412"),
        ("0596123456", "+596596123456", "059612"),
        ("0696123456", "+596696123456", "069612"),
        ("0508412345", "+508412345", "050841"),
        ("+508 41 23 45", "+508412345", "050841"),
        ("+44 20 7946 0958", "+442079460958", None),
        ("0044 20 7946 0958", "+442079460958", None),
        ("442079460958", "+442079460958", None),
        ("262262123456", "+262262123456", "026212"),
        ("508412345", "+508412345", "050841"),
        ("299123456", "+33299123456", "029912"),
        ("tel:+33-2-99-12-34-56", "+33299123456", "029912"),
        ("02\u00a099\u00a012\u00a034\u00a056", "+33299123456", "029912"),
        ("＋33299123456", "+33299123456", "029912"),
    ],
)
def test_a_number_has_one_key_in_any_spelling(spelling: str, number: str, prefix: str | None) -> None:
    (stored,), _ = call(caller_number=spelling, customer_ref="")
    assert stored["caller_key"] == key(number)
    assert stored["caller_identity"] == identity(f"{number}")
    assert stored["caller_prefix"] == prefix


@pytest.mark.parametrize(
    "spelling", ["3900", "+33299", "+3329912345678", "call me", "0199", "+5901234567", "2125551234"]
)
def test_a_non_number_is_rejected_and_masked(spelling: str) -> None:
    stored, (rejected,) = call(caller_number=spelling)
    assert not stored
    assert rejected.reason == "`caller_number` is not a telephone number"
    assert rejected.value == "***"
    assert spelling not in rejected.text.replace("3900,fixe", "")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2012-04-25T08:00:00+02:00", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25T07:00:00+01:00", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25 08:00:00+02:00", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25T06:00:00Z", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25T08:00:00+0200", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25 08:00:00+02", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25T02:00:00.25-04:00", datetime(2012, 4, 25, 6, 0, 0, 250_000, tzinfo=UTC)),
        ("2012-04-25T08:00+02:00", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25T08:00:00.0000000+02:00", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25T08:00:00.123456789+02:00", datetime(2012, 4, 25, 6, 0, 0, 123_456, tzinfo=UTC)),
        ("2012-04-25T08:00:00,5+02:00", datetime(2012, 4, 25, 6, 0, 0, 500_000, tzinfo=UTC)),
        ("20120425T080000+0200", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("20120425T0800+02", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("20120425T060000.1234567Z", datetime(2012, 4, 25, 6, 0, 0, 123_456, tzinfo=UTC)),
        ("2012-04-25t06:00:00z", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25T06:00:00−00:00", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25 06:00:00 UTC", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25 08:00:00 +0200", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        ("2012-04-25T08:00+02:00[Europe/Paris]", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
        (" 2012-04-25T08:00:00+02:00 ", datetime(2012, 4, 25, 6, 0, 0, tzinfo=UTC)),
    ],
)
def test_instants_in_any_offset(text: str, instant: datetime) -> None:
    (stored,), rejected = call(offered_at=text)
    assert not rejected
    assert stored["offered_at"] == instant


@pytest.mark.parametrize(
    "text",
    [
        "2012-04-25T08:00:00",
        "2012-04-25",
        "2012-04-31T08:00:00+02:00",
        "2012-04-25T08:00:60+02:00",
        "2012-04-25T24:00:01+02:00",
        "2012-4-25T08:00:00+02:00",
        "0012-04-25T08:00:00+02:00",
        "2012-04-25T08:00: 0+02:00",
        "25/04/2012 08:00:00+02:00",
        "1335333600",
        "20120425080000",
        "2012-04-25T08:00:00.1234567890+02:00",
        "2012-04-25T08:00.5+02:00",
        "2012-04-25T08:00:00+02:00:00",
        "2012-04-25T08:00:00 CEST",
    ],
)
def test_an_instant_needs_its_offset_and_must_exist(text: str) -> None:
    stored, (rejected,) = call(offered_at=text)
    assert not stored
    assert rejected.reason == "`offered_at` is not an ISO 8601 instant with an offset"
    assert rejected.value == (text if text != "1335333600" else "***"), "a serial number may be a person's"


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"call_id": ""}, "call_id", "`call_id` is empty"),
        ({"leg_no": "0"}, "leg_no", "`leg_no` is below 1"),
        ({"leg_no": "one"}, "leg_no", "`leg_no` is not a whole number"),
        ({"leg_no": "1.5"}, "leg_no", "`leg_no` is not a whole number"),
        ({"leg_no": "40000"}, "leg_no", "`leg_no` is outside 1..32767"),
        ({"talk_s": "99999999999999999999"}, "talk_s", "`talk_s` is outside 0..86400"),
        ({"talk_s": "-1"}, "talk_s", "`talk_s` is outside 0..86400"),
        ({"hold_s": "86401"}, "hold_s", "`hold_s` is outside 0..86400"),
        ({"wrap_up_s": "2147483647"}, "wrap_up_s", "`wrap_up_s` is outside 0..86400"),
        ({"call_id": "é" * 501}, "call_id", "`call_id` has more than 500 characters"),
        ({"reason_code": "x" * 501}, "reason_code", "`reason_code` has more than 500 characters"),
        (
            {"ended_at": "2012-05-02T08:00:00.000001+02:00"},
            "ended_at",
            "`ended_at` is not from 2012-04-25 to 2012-04-26",
        ),
        ({"market": "Internet"}, "market", "`market` is outside fixe|internet|open"),
        ({"market": ""}, "market", "`market` is empty"),
        ({"satisfaction": "6"}, "satisfaction", "`satisfaction` is outside 1..5"),
        ({"recommend": "11"}, "recommend", "`recommend` is outside 0..10"),
        (
            {"line_department": "Ille-et-Vilaine"},
            "line_department",
            "`line_department` is not a department code (35, 2A, 971)",
        ),
        ({"queued_at": "2012-04-25T07:59:59+02:00"}, "queued_at", "`queued_at` is before `offered_at`"),
        ({"ended_at": "2012-04-25T08:00:19+02:00"}, "ended_at", "`ended_at` is before `answered_at`"),
        (
            {"answered_at": "", "outcome": "abandoned", "ended_at": "2012-04-25T08:00:08+02:00"},
            "ended_at",
            "`ended_at` is before `queued_at`",
        ),
        ({"answered_at": ""}, "answered_at", "`answered_at` is empty though `outcome` is answered"),
        ({"queued_at": ""}, "queued_at", "`queued_at` is empty though `outcome` is answered"),
    ],
)
def test_each_rule_names_its_column(changes: dict[str, str], column: str, reason: str) -> None:
    stored, (rejected,) = call(**changes)
    assert not stored
    assert (rejected.column, rejected.reason) == (column, reason)
    assert (rejected.file_name, rejected.line) == ("calls.csv", 2)


def test_instants_may_be_equal() -> None:
    at = GOOD["offered_at"]
    stored, rejected = call(queued_at=at, answered_at=at, ended_at=at)
    assert stored
    assert not rejected


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        (date(2012, 3, 25), "2012-03-25T00:00:00+01:00", "2012-03-25T23:59:59.999999+02:00"),
        (date(2012, 10, 28), "2012-10-28T00:00:00+02:00", "2012-10-28T23:59:59.999999+01:00"),
    ],
)
def test_a_day_is_local_even_when_the_clock_changes(day: date, first: str, last: str) -> None:
    def row(offered_at: str) -> dict[str, str]:
        return GOOD | {
            "offered_at": offered_at,
            "queued_at": "",
            "answered_at": "",
            "outcome": "blocked",
            "ended_at": offered_at,
        }

    previous = f"{date.fromordinal(day.toordinal() - 1)}T23:59:59.999999{first[-6:]}"
    following = f"{date.fromordinal(day.toordinal() + 1)}T00:00:00{last[-6:]}"
    rows = [row(at) for at in (first, last, previous, following)]
    stored, rejected = check_block("calls", *rows, day=day)
    assert [found["line_number"] for found in stored] == [2, 3]
    assert [found.line for found in rejected] == [4, 5]
    assert {found.reason for found in rejected} == {f"`offered_at` is not on {day} (Europe/Paris)"}


def test_quarantined_text_hides_persons() -> None:
    _, (rejected,) = call(market="fax", customer_ref="C-17", transferred_to="02 99 12 34 56")
    assert rejected.text == (
        "c1,1,2012-04-25T08:00:00+02:00,2012-04-25T08:00:09+02:00,2012-04-25T08:00:20+02:00,"
        "2012-04-25T08:03:00+02:00,***,3900,fax,***,35,RENNES,Q1,answered,***,0,160,20,***,bill,5,10"
    )


def test_a_number_in_the_wrong_column_is_not_shown_either() -> None:
    _, (rejected,) = call(market="+33299123456")
    assert rejected.value == "***"
    assert "99123456" not in rejected.text


def test_columns_may_be_in_any_order() -> None:
    (expected,), _ = call()
    (stored,), _ = check_block("calls", dict(reversed(GOOD.items())))
    assert stored == expected


@pytest.mark.parametrize("text", ["2012-04", "2012-04-01", "2012-04-30"])
def test_a_month_is_its_first_day(text: str) -> None:
    (stored,), _ = check_block(
        "active_lines", {"month": text, "department_code": "35", "market": "open", "lines": "7"}
    )
    assert (stored["month"], stored["lines"]) == (date(2012, 4, 1), 7)


@pytest.mark.parametrize("text", ["2012-13", "2012-02-30", "April 2012", "201204"])
def test_a_month_must_exist(text: str) -> None:
    _, (rejected,) = check_block(
        "active_lines", {"month": text, "department_code": "35", "market": "open", "lines": "7"}
    )
    assert rejected.reason == "`month` is not a month YYYY-MM"


def test_a_prefix_without_its_zero_is_rejected() -> None:
    row = dict.fromkeys((column.name for column in FEEDS["numbering_plan"].file_columns), "")
    stored, (rejected,) = check_block("numbering_plan", row | {"prefix": "029912"}, row | {"prefix": "29912"})
    assert [found["prefix"] for found in stored] == ["029912"]
    assert rejected.reason == "`prefix` is not a national prefix of 4 to 6 digits with its leading zero"


def test_an_assignment_needs_a_number() -> None:
    row = {"number": "0299123456", "department_code": "22", "reason": "moved"}
    stored, rejected = check_block("line_assignments", row, row | {"number": "anonymous"})
    assert [found["number"] for found in stored] == ["+33299123456"]
    assert [found.reason for found in rejected] == ["`number` is empty or withheld"]


CODES = [
    (name, column.name) for name, feed in FEEDS.items() for column in feed.file_columns if column.is_code
]


@pytest.mark.parametrize(("feed", "column"), CODES)
@pytest.mark.parametrize(
    "text", ["C012345678", "58704610", "voir Mme Kerfautras", "a@b", "1 2", "R-1234-567"]
)
def test_a_value_that_is_not_a_code_is_masked_and_counted(feed: str, column: str, text: str) -> None:
    row = GOOD_ROWS[feed]
    (stored,), rejected = check_block(feed, row | {column: text})
    assert not rejected and stored[column] == "***"
    assert changes(feed, row, row | {column: text})[column, ValueChange.NO_CODE] == (1, 3)


@pytest.mark.parametrize("text", ["PS", "ATLANTIS", "ZZ999", "UI_LYON", "B972-001", "Œuvre", "N/B", "750012"])
@pytest.mark.parametrize(("feed", "column"), CODES)
def test_an_unknown_code_is_kept(feed: str, column: str, text: str) -> None:
    row = GOOD_ROWS[feed] | {column: text}
    (stored,), rejected = check_block(feed, row)
    assert not rejected and stored[column] == text
    assert not changes(feed, row)


def test_a_value_listed_in_a_seed_is_a_code() -> None:
    (stored,), _ = call(site_code="SITE 12345678", agent_ref="SITE 12345678")
    assert stored["site_code"] == "SITE 12345678"


def test_a_reference_repeated_as_a_code_is_masked_and_counted() -> None:
    row = GOOD | {"customer_ref": "K-12", "reason_code": "K-12", "transferred_to": "A7"}
    (stored,), rejected = check_block("calls", row)
    assert not rejected and (stored["reason_code"], stored["transferred_to"]) == ("***", "***")
    assert changes("calls", GOOD | {"reason_code": "K-12"}, row) == {
        ("reason_code", ValueChange.REFERENCE): (1, 3),
        ("transferred_to", ValueChange.REFERENCE): (1, 3),
    }


@pytest.mark.parametrize("column", ["customer_ref", "agent_ref"])
def test_a_reference_repeated_as_the_key_rejects_the_row_masked(column: str) -> None:
    stored, (rejected,) = call(call_id="K-12", **{column: "K-12"})
    assert not stored and rejected.reason == "`call_id` holds a reference to a person"
    assert rejected.value == "***" and "K-12" not in rejected.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Internet", None),
        ("40000", None),
        ("-30", None),
        ("zz", None),
        ("25/04/2012 08:00", None),
        ("2012-04-25 08:00:00", None),
        ("C012345678", "***"),
        ("58704610", "***"),
        ("4294967295", "***"),
        ("Yann Kerfautras", "***"),
        ("rappeler 0299123456", "***"),
        ("C0042", "***"),
    ],
)
@pytest.mark.parametrize("column", ["leg_no", "ended_at", "market", "line_department"])
def test_a_rejected_value_is_shown_if_it_identifies_nobody(column: str, text: str, shown: str | None) -> None:
    stored, (rejected,) = call(**{column: text})
    assert not stored and rejected.value == (shown or text)
    assert (text in rejected.text) == (shown != "***")
