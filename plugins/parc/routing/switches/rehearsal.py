"""A rehearsal: the switch is asked how it would route calls of every zone, market and band."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from parc.instants import shown
from parc.routing.switches import Question
from parc.routing.switches.probes import ANONYMOUS, ask
from parc.routing.table.content import NATIONAL_ZONE, Content, Frames
from parc.routing.table.lookups import with_band

NATIONAL_DIGITS = 10


def misrouted(
    content: Content, slot: str, version: str, address: tuple[str, int], secret: str
) -> Iterator[str]:
    """The zones, markets and bands whose calls a slot would not send where its release says.

    `address` is where the switch answers questions, `secret` seals them. Raises ConfigurationError when it
    does not answer.
    """
    expected = []
    for (zone, market, band), question in questions(content, slot).items():
        rows = content.frames["routes"].filter(zone_code=zone, market=market, band=band)
        expected.append((question, zone, market, band, _places(rows)))
    answers = ask(address, secret, [each[0] for each in expected])
    for (_, zone, market, band, sites), answer in zip(expected, answers, strict=True):
        what = f"a call of zone {zone}, market {market}, {band}"
        if answer.version != version or answer.slot != slot:
            yield f"{what} is answered by {answer.version} in slot {answer.slot}"
        elif (answer.zone_code, answer.market, answer.band) != (zone, market, band):
            yield (
                f"{what} is taken for zone {answer.zone_code}, market {answer.market}, {answer.band} "
                f"at {shown(answer.at)}"
            )
        elif set(answer.sites) != sites:
            yield f"{what} would go to other sites than the release says"


def questions(content: Content, slot: str) -> dict[tuple[str, str, str], Question]:
    """One question for each zone, market and band that some caller reaches at some instant."""
    frames = content.frames
    callers = {NATIONAL_ZONE: ANONYMOUS}
    exact = frames["exceptions"].group_by("zone_code").agg(pl.col("number").min())
    callers |= {zone: number for zone, number in exact.iter_rows() if zone != NATIONAL_ZONE}
    zones = dict(frames["prefixes"].iter_rows())
    lowest = {prefix: prefix.ljust(NATIONAL_DIGITS, "0") for prefix in sorted(zones, key=len)}
    known = pl.Series([f"+33{number[1:]}" for number in lowest.values()], dtype=pl.String)
    taken = set(known.filter(known.is_in(frames["exceptions"]["number"].implode())))
    for prefix, number in lowest.items():
        zone = zones[prefix]
        if zone != NATIONAL_ZONE and f"+33{number[1:]}" not in taken and _longest(zones, number) == prefix:
            callers[zone] = number
    dialled = dict(frames["services"].select("market", "dialled_number").iter_rows())
    pairs = frames["routes"].select("zone_code", "market").unique()
    return {
        (zone, market, band): Question(callers[zone], dialled[market], at, slot)
        for zone, market, band, at in _instants(frames, pairs).iter_rows()
        if zone in callers and market in dialled
    }


def _longest(zones: dict[str, str], number: str) -> str | None:
    return next((number[:size] for size in range(len(number), 0, -1) if number[:size] in zones), None)


def _instants(frames: Frames, pairs: pl.DataFrame) -> pl.DataFrame:
    """(zone_code, market, band, instant): the last opening or closing of a window at which the pair has that
    band."""
    windows = frames["windows"]
    moments = pl.concat([windows["opens_at"], windows["closes_at"]]).unique().alias("half_hour_at")
    bands = with_band(pairs.join(moments.to_frame(), how="cross"), "zone_code", frames, "band")
    return bands.group_by("zone_code", "market", "band").agg(pl.col("half_hour_at").max())


def _places(routes: pl.DataFrame) -> set[tuple[int, str, int]]:
    """(priority, site_code, weight), with priorities as the switch numbers them: 1, 2, 3, without gaps."""
    place = pl.col("priority").rank("dense").cast(pl.Int32)
    return set(routes.select(place, "site_code", "weight").iter_rows())
