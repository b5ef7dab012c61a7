"""Small inputs that must come out right: those kept beside the project, and similar ones."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from parc.loading import Outcome, ingest
from parc.settings import Settings
from support.deliveries import DAY, as_csv, counts, deliver, legs, query

Load = Callable[[str, str], Outcome]


@pytest.fixture
def load_case(warehouse: Settings, shared_data: Path) -> Load:
    """Load a file of a case as the day's delivery of a feed."""

    def load(path: str, feed: str) -> Outcome:
        folder = Path(warehouse.landing) / feed / f"date={DAY}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(shared_data / "cases" / path, folder)
        return ingest(warehouse, feed, DAY)

    return load


def pages(settings: Settings) -> str:
    found = [*(settings.home / "data_docs").rglob("calls_2012-04-25/*.html")]
    assert found
    return "".join(path.read_text() for path in found)


def test_numbers_dialled_by_agents_are_masked(warehouse: Settings, load_case: Load) -> None:
    outcome = load_case("03-customers-numbers-in-dialled-number/calls.csv", "calls")
    assert counts(outcome) == ("published", 5, 5, 0)
    assert query(warehouse, "select distinct dialled_number from raw.calls") == [("***",)]
    assert outcome.warnings[0] == (
        "`dialled_number` is neither a service number nor a short code, so masked, in 5 rows "
        "(first: calls.csv line 2)"
    )
    assert not any("numbers_known" in warning for warning in outcome.warnings), "reported once"
    assert "299120" not in " ".join(outcome.warnings) + pages(warehouse)


def test_a_placeholder_is_no_customer(warehouse: Settings, load_case: Load) -> None:
    outcome = load_case("06-placeholder-customers/calls.csv", "calls")
    assert counts(outcome) == ("published", 20, 20, 0)
    nobody = "select count(*) from raw.calls where coalesce(customer_key, caller_key) is null"
    assert query(warehouse, nobody) == [(20,)]


def test_numbers_in_any_column_are_masked(warehouse: Settings, load_case: Load) -> None:
    outcome = load_case("10-numbers-not-masked/calls.csv", "calls")
    assert outcome.status == "refused" and outcome.rows_quarantined == 6
    shown = query(warehouse, "select reason, row_text from ops.quarantine")
    kept = query(warehouse, "select reason, warnings from ops.delivery")
    reported = f"{outcome.message} {outcome.warnings} {shown} {kept}"
    assert len(shown) == 5 and not re.search(r"99\W?12\W?34\W?56", reported)
    assert "'***'" in outcome.message and "rappeler" not in reported


def test_a_number_as_a_site_is_masked_with_a_warning(warehouse: Settings) -> None:
    rows = legs(200)
    rows[7]["site_code"] = rows[8]["site_code"] = "0299123456"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))
    outcome = ingest(warehouse, "calls", DAY)
    assert counts(outcome) == ("published", 200, 200, 0)
    assert outcome.warnings[0] == (
        "`site_code` held telephone numbers, now masked, in 2 rows (first: calls.csv line 9)"
    )
    assert any("***" in warning and "sites_known" in warning for warning in outcome.warnings)
    assert "0299123456" not in f"{outcome}" + pages(warehouse)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("blank_first_line.csv", "its first line is blank, but must be the header"),
        ("cr_only.csv", "its lines end with only a carriage return; end them with a line feed"),
        ("xlsx_named.csv", "it is a zip archive, or an Excel workbook, not CSV in UTF-8"),
        ("trailing_garbage.csv.gz", "other data follows its gzip stream"),
        ("trailing_comma.csv", "has a column without a name (a comma at the end of the header)"),
        ("spaces_in_header.csv", "` lines` (names are in lower case, without spaces)"),
        ("too_big.csv", "`lines` is outside 0..3000000 in 12 (first: too_big.csv line 2, '***')"),
    ],
)
def test_a_refusal_names_the_true_cause(load_case: Load, file: str, message: str) -> None:
    outcome = load_case(f"19-messages/{file}", "active_lines")
    assert outcome.status == "refused"
    assert message in outcome.message


def test_a_shop_closing_on_9999_12_31_is_open(warehouse: Settings, load_case: Load) -> None:
    outcome = load_case("19-messages/boutiques_9999.csv", "boutiques")
    assert counts(outcome) == ("published", 1, 1, 0)
    assert query(warehouse, "select opened_on, closed_on from raw.boutiques") == [(date(2010, 1, 1), None)]


@pytest.mark.parametrize("file", ["no_seconds.csv", "seven_digits.csv"])
def test_iso_8601_is_accepted(warehouse: Settings, load_case: Load, file: str) -> None:
    assert counts(load_case(f"22-iso-8601-not-taken/{file}", "calls")) == ("published", 3, 3, 0)
    at = "select distinct offered_at at time zone 'Europe/Paris' from raw.calls"
    assert [str(moment) for (moment,) in query(warehouse, at)] == ["2012-04-25 08:00:00"]


def test_digits_only_keys_are_identifiers_among_identifiers(warehouse: Settings) -> None:
    """Zero-padded ids that look like numbers are kept and shown as digests; outliers are quarantined."""
    rows = legs(400)
    for number, row in enumerate(rows):
        row["call_id"] = f"{299_123_400 + number:010d}"
    rows[399]["market"] = "fax"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))
    outcome = ingest(warehouse, "calls", DAY)
    assert counts(outcome) == ("published", 400, 399, 1), outcome.message
    assert query(warehouse, "select min(call_id), max(call_id) from raw.calls") == [
        ("0299123400", "0299123798")
    ]
    [(text,)] = query(warehouse, "select row_text from ops.quarantine")
    assert re.match("#[0-9a-f]{12},1,", text)

    rows = legs(400)
    rows[10]["call_id"], rows[11]["call_id"] = "0299123456", "33299123456"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))
    outcome = ingest(warehouse, "calls", DAY)
    assert counts(outcome) == ("published", 400, 398, 2)
    assert "`call_id` holds a telephone number in 2 (first: calls.csv line 12, '***')" in outcome.message
    held = query(
        warehouse,
        "select line_number, column_name, left(row_text, 1) from ops.quarantine "
        "where delivery_id = %s order by line_number",
        outcome.delivery_id,
    )
    assert held == [(12, "call_id", "#"), (13, "call_id", "#")]
    assert "299123456" not in f"{outcome} {held}"
