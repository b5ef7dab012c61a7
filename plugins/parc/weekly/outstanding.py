"""What stood out in a week."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date

from parc.weekly import french
from parc.weekly.french import FEEDS, MARKET_NAMES, METRICS, NumberShown, Text, TextPart
from parc.weekly.reading import ChartedWeek, WeekFacts
from parc.weekly.week import IsoWeek

MOST_SIGNALS = 8
"""What stands out and is listed; of the rest only their number is told."""


def outstanding(facts: WeekFacts) -> Iterator[Text]:
    """What stood out: who went live, figures out of the ordinary, exceptional weeks, and deliveries that were
    late, first refused or corrected."""
    names = {each.region_code: each.region_name for each in facts.regions}
    went_live: dict[tuple[date, str], list[str]] = defaultdict(list)
    for state in facts.rollout:
        start_date = state.observed_go_live_date
        is_known = start_date is not None and not state.is_older_than_data
        if is_known and start_date in facts.week.days and state.status in ("live", "stalled"):
            went_live[start_date, state.region_code].append(MARKET_NAMES[state.market])
    for (day, code), markets in sorted(went_live.items()):
        start = french.day(day, with_weekday=True, with_year=False)
        yield [
            f"{names[code]}, ",
            *french.joined([[name] for name in markets]),
            " : en service depuis le ",
            start,
            ".",
        ]
    signals = [
        each
        for each in facts.charted
        if each.signal
        and each.metric_value is not None
        and each.week_start_date == facts.week.earlier(METRICS[each.metric].weeks_until_final).monday
    ]
    signals.sort(key=lambda each: ("limit" not in str(each.signal), list(METRICS).index(each.metric)))
    for each in signals[:MOST_SIGNALS]:
        yield _signal(each, names)
    if len(signals) > MOST_SIGNALS:
        yield ["Autres chiffres hors de l'ordinaire : ", french.count(len(signals) - MOST_SIGNALS), "."]
    exceptional = {each.region_code for each in facts.of_week(facts.week) if each.is_event_week}
    if exceptional:
        where = french.joined([[names[code]] for code in names if code in exceptional])
        yield ["Événement exceptionnel au calendrier, semaine non jugée : ", *where, "."]
    happened: dict[tuple[str, str], list[date]] = defaultdict(list)
    for delivery in facts.deliveries:
        is_in = delivery.status == "published"
        for what, is_so in (
            ("arrivée en retard", is_in and delivery.was_late),
            ("d'abord refusée", is_in and delivery.refused_count),
            ("corrigée", delivery.restatement_count),
        ):
            if is_so:
                happened[delivery.feed, what].append(delivery.business_date)
    for (feed, what), dates in happened.items():
        yield [f"Livraison «{french.SPACE}{FEEDS[feed]}{french.SPACE}» {what} : ", *french.days(dates), "."]


def _signal(each: ChartedWeek, names: dict[str, str]) -> Text:
    metric = METRICS[each.metric]
    assert each.metric_value is not None
    start: list[TextPart] = [f"{names[each.region_code]}, {metric.title}"]
    if metric.weeks_until_final:
        week = IsoWeek(each.week_start_date)
        start += [" (semaine ", NumberShown(str(week.number), week.name), ")"]
    start += [" : ", metric.written(each.metric_value), ", "]
    end = "favorable." if is_good(each) else "défavorable."
    limit = each.upper_limit if each.signal == "above_upper_limit" else each.lower_limit
    side = "au-dessus" if each.signal in ("above_upper_limit", "run_above_mean") else "en dessous"
    if each.signal in ("above_upper_limit", "below_lower_limit") and limit is not None:
        return [*start, f"{side} de la limite de ", metric.written(limit), f", {end}"]
    assert each.run_length is not None and each.mean_value is not None
    return [
        *start,
        french.count(each.run_length),
        f" semaines de suite {side} de la moyenne de ",
        metric.written(each.mean_value),
        f", {end}",
    ]


def is_good(each: ChartedWeek) -> bool:
    """Whether a figure that is out of the ordinary is so for the better."""
    is_high = each.signal in ("above_upper_limit", "run_above_mean")
    return METRICS[each.metric].is_better_high == is_high
