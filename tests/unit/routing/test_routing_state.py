"""The desired routing table: what is in force when, and one content for one meaning."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parc.routing.table.content import SHAPES, Content, decode, encode
from parc.routing.table.desired import desired_state, effective_date, horizon
from parc.routing.table.inputs import Inputs
from support.routing_tables import EVE, GO_LIVE, frame, world


def route(content: Content, zone: str, market: str, band: str) -> dict[str, int]:
    rows = content.frames["routes"].filter(
        (pl.col("zone_code") == zone) & (pl.col("market") == market) & (pl.col("band") == band)
    )
    return {f"{row['priority']} {row['site_code']}": row["weight"] for row in rows.iter_rows(named=True)}


NATIONAL = {"1 LYON": 60, "1 LYON_2": 40, "2 TUNIS": 100}
BRETAGNE = {"1 RENNES": 60, "1 RENNES_2": 40, "2 TUNIS": 100}


def test_the_effective_date_is_the_next_day_and_the_horizon_four_months() -> None:
    assert effective_date(date(2012, 12, 31)) == date(2013, 1, 1)
    assert horizon(GO_LIVE) == (date(2012, 4, 1), date(2012, 8, 1))
    assert horizon(date(2012, 11, 30)) == (date(2012, 11, 1), date(2013, 3, 1))


def test_a_zone_has_its_own_sites_from_its_planned_day_on() -> None:
    inputs = world()
    assert route(desired_state(inputs, EVE), "53", "fixe", "open") == NATIONAL
    assert route(desired_state(inputs, GO_LIVE), "53", "fixe", "open") == BRETAGNE
    assert route(desired_state(inputs, GO_LIVE), "52", "fixe", "open") == NATIONAL
    assert route(desired_state(inputs, GO_LIVE), "53", "fixe", "closed") == {"1 TUNIS": 100}


def test_a_withdrawn_zone_is_national_again_from_that_day_on() -> None:
    inputs = world()
    plan = inputs.rollout.with_columns(withdrawn_on=pl.lit(date(2012, 5, 10)))
    inputs = replace(inputs, rollout=plan)
    assert route(desired_state(inputs, date(2012, 5, 9)), "53", "fixe", "open") == BRETAGNE
    assert route(desired_state(inputs, date(2012, 5, 10)), "53", "fixe", "open") == NATIONAL


def test_the_national_default_never_goes_live() -> None:
    inputs = world()
    rollout = pl.concat([inputs.rollout, frame("rollout", ("*", "fixe", date(2012, 1, 1), None))])
    routes = pl.concat([inputs.routes, frame("routes", ("*", "*", "open", 1, "RENNES", 100))])
    content = desired_state(replace(inputs, rollout=rollout, routes=routes), GO_LIVE)
    assert route(content, "*", "fixe", "open") == NATIONAL


def test_a_market_may_have_its_own_route() -> None:
    inputs = world()
    own = frame("routes", ("53", "fixe", "open", 1, "RENNES", 100))
    content = desired_state(replace(inputs, routes=pl.concat([inputs.routes, own])), GO_LIVE)
    assert route(content, "53", "fixe", "open") == {"1 RENNES": 100}
    assert route(content, "53", "internet", "open") == BRETAGNE


def test_a_closed_site_is_drained_and_an_unused_one_left_out() -> None:
    inputs = world()
    sites = inputs.sites.with_columns(
        valid_to=pl.when(pl.col("site_code") == "RENNES").then(pl.lit(date(2012, 4, 25)))
    )
    content = desired_state(replace(inputs, sites=sites), GO_LIVE)
    assert route(content, "53", "fixe", "open") == {"1 RENNES_2": 40, "2 TUNIS": 100}
    codes = set(content.frames["sites"]["site_code"])
    assert "RENNES" not in codes and "SPARE" not in codes and "RENNES_2" in codes


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2012, 3, 1), {"0299", "0240", "0262", "029912", "024012", "0390"}),  # before the first snapshot
        (EVE, {"0299", "0240", "0262", "029912", "024012", "0390"}),
        (date(2012, 5, 1), {"0299", "029913"}),
    ],
)
def test_the_numbering_snapshot_in_force(day: date, expected: set[str]) -> None:
    assert set(desired_state(world(), day).frames["prefixes"]["prefix"]) == expected


def test_without_a_numbering_snapshot_the_default_applies() -> None:
    inputs = world()
    inputs = replace(inputs, prefixes=inputs.prefixes.filter(pl.col("snapshot_date") == date(1, 1, 1)))
    assert desired_state(inputs, EVE).frames["prefixes"].rows() == [("0299", "53")]


def test_exceptions_hold_lines_in_force_and_lines_outside_parc_are_national() -> None:
    assert dict(desired_state(world(), EVE).frames["exceptions"].iter_rows()) == {
        "+33299120001": "52",
        "+33699000001": "53",
        "+33699000003": "*",
    }
    assert "+33699000002" in desired_state(world(), date(2012, 4, 19)).frames["exceptions"]["number"]


def test_a_department_changes_zone_on_its_date() -> None:
    inputs = world()
    zones = frame(
        "department_zones",
        ("35", "53", date(1990, 1, 1), date(2012, 4, 25)),
        ("35", "52", date(2012, 4, 25), None),
        ("44", "52", date(1990, 1, 1), None),
    )
    inputs = replace(inputs, department_zones=zones)
    assert ("+33699000001", "53") in desired_state(inputs, EVE).frames["exceptions"].rows()
    assert ("+33699000001", "52") in desired_state(inputs, GO_LIVE).frames["exceptions"].rows()


def test_windows_cover_the_horizon_and_nothing_else() -> None:
    opened = desired_state(world(), GO_LIVE).frames["windows"]["opens_at"]
    assert (opened.min(), opened.max()) == (
        datetime(2012, 4, 1, 6, tzinfo=UTC),
        datetime(2012, 7, 31, 6, tzinfo=UTC),
    )


def test_content_changes_with_a_go_live_only() -> None:
    inputs = world()
    assert desired_state(inputs, date(2012, 4, 22)).digest == desired_state(inputs, EVE).digest
    assert desired_state(inputs, EVE).digest != desired_state(inputs, GO_LIVE).digest


@settings(max_examples=25)
@given(st.integers(min_value=0, max_value=2**32))
def test_the_digest_does_not_depend_on_the_order_of_rows(seed: int) -> None:
    inputs = world()
    frames = {field.name: getattr(inputs, field.name) for field in fields(Inputs)}
    shuffled = Inputs(**{n: f.sample(fraction=1, shuffle=True, seed=seed) for n, f in frames.items()})
    assert desired_state(shuffled, GO_LIVE).digest == desired_state(inputs, GO_LIVE).digest


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), min_size=1, max_size=12)


@settings(max_examples=50)
@given(st.dictionaries(cells, cells, min_size=1, max_size=8))
def test_encoding_keeps_every_text(values: dict[str, str]) -> None:
    frame = pl.DataFrame({"site_code": values.keys(), "sip_address": values.values()})
    assert decode("sites", encode("sites", frame)).rows() == frame.rows()


@pytest.mark.parametrize("name", SHAPES)
def test_every_table_is_read_back_as_it_was_written(name: str) -> None:
    table = desired_state(world(), GO_LIVE).frames[name]
    back = decode(name, encode(name, table))
    assert back.equals(table) and back.schema == table.schema


def test_the_canonical_bytes_are_stable() -> None:
    """Releases recorded in the past stay comparable: this digest may only change with the format's number."""
    content = Content.of(
        {
            "services": pl.DataFrame({"dialled_number": ["3900"], "market": ["internet"]}),
            "prefixes": pl.DataFrame({"prefix": ["0299", "0240"], "zone_code": ["53", "52"]}),
            "exceptions": pl.DataFrame({"number": ["+33299120001"], "zone_code": ["*"]}),
            "windows": pl.DataFrame(
                {
                    "zone_code": ["53"],
                    "opens_at": [datetime(2012, 4, 25, 6, tzinfo=UTC)],
                    "closes_at": [datetime(2012, 4, 25, 18, tzinfo=UTC)],
                }
            ),
            "routes": pl.DataFrame(
                {
                    "zone_code": ["53"],
                    "market": ["fixe"],
                    "band": ["open"],
                    "priority": [1],
                    "site_code": ["RENNES"],
                    "weight": [60],
                }
            ),
            "sites": pl.DataFrame({"site_code": ["RENNES"], "sip_address": ["sip:a@b;x=1,2"]}),
        }
    )
    expected = {
        "services": b"dialled_number,market\n3900,internet\n",
        "prefixes": b"prefix,zone_code\n0240,52\n0299,53\n",
        "exceptions": b"number,zone_code\n+33299120001,*\n",
        "windows": b"zone_code,opens_at,closes_at\n53,2012-04-25T06:00:00Z,2012-04-25T18:00:00Z\n",
        "routes": b"zone_code,market,band,priority,site_code,weight\n53,fixe,open,1,RENNES,60\n",
        "sites": b'site_code,sip_address\nRENNES,"sip:a@b;x=1,2"\n',
    }
    assert content.files == expected
    lines = [f"{name} {hashlib.sha256(data).hexdigest()}\n" for name, data in expected.items()]
    assert content.digest == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert content.digest == "49f93f2fde7153d3ecd6c6b8a37a148c0256be0b37248900d37a149b422c0c34"


def test_a_damaged_table_is_named_without_its_numbers() -> None:
    with pytest.raises(ValueError, match=r"^exceptions: not a routing table") as caught:
        decode("exceptions", b"number,zone_code\n+33299120001,53,too,many\n")
    assert "299120001" not in str(caught.value)
    with pytest.raises(ValueError, match="routes: not a routing table"):
        decode("routes", b"zone_code,market,band,priority,site_code,weight\n53,fixe,open,first,RENNES,1\n")
