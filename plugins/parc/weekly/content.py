"""What the page says, in French, from what the marts say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from parc.instants import PARIS
from parc.weekly import french
from parc.weekly.chart import chart
from parc.weekly.french import FEEDS, MARKET_NAMES, SHOWN, DayShown, Metric, NumberShown, Text, TextPart
from parc.weekly.outstanding import is_good, outstanding
from parc.weekly.reading import ChartedWeek, DeliveryState, OwnRegion, RolloutState, WeekFacts

LEGEND = (
    "Limites : la moyenne de la période de référence de la région, plus ou moins la variation habituelle "
    "d'une semaine à l'autre. Un chiffre hors des limites, ou longtemps du même côté de la moyenne, est sans "
    "doute plus que du hasard."
)
FACTS_OF_A_DAY = ("calls", "boutique_visits", "interventions")
"""Feeds of which each day of the week is expected."""


@dataclass(frozen=True)
class RegionFigure:
    """One of the four figures of a region: the week's value, that of the week before, the limits and a chart,
    of which `scale` says the lowest and the highest value. `verdict` is a remark on the week, or empty; if it
    is out of the ordinary it `is_judged`."""

    value: Text
    before: Text
    limits: Text
    verdict: str
    is_judged: bool
    is_good: bool
    scale: Text
    chart: str


@dataclass(frozen=True)
class RegionStage:
    """A line of the rollout: a region, and the state of each group of markets."""

    region: str
    states: Sequence[Text]


@dataclass(frozen=True)
class ReadOn:
    """Where to read on."""

    label: str
    address: str

    @property
    def is_page(self) -> bool:
        """Whether a browser opens it."""
        return self.address.startswith("http")


@dataclass(frozen=True)
class PageContent:
    """The page. `state` says whether the figures are final; `is_final` is None if there are no figures."""

    title: str
    week: Text
    state: Text
    is_final: bool | None
    rollout_date: DayShown | None
    stages: Sequence[RegionStage]
    headings: Sequence[tuple[str, str]]
    figures: Sequence[tuple[str, Sequence[RegionFigure]]]
    outstanding: Sequence[Text]
    links: Sequence[ReadOn]
    source: Text
    has_shared: bool
    legend: str = LEGEND

    @property
    def tone(self) -> str:
        """The colour of its state."""
        return "none" if self.is_final is None else "final" if self.is_final else "provisional"


def compose(facts: WeekFacts, airflow: str, bi_address: str) -> PageContent:
    """The page of a directorate and week. Links begin with `airflow`; if it is empty, none leads to its
    pages."""
    week = facts.week
    number = NumberShown(str(week.number), week.name)
    first, last = french.day(week.monday, with_weekday=True), french.day(week.sunday, with_weekday=True)
    is_final, state = _state(facts)
    return PageContent(
        title=f"Direction régionale {facts.directorate.directorate_name}",
        week=["Semaine ", number, " : du ", first, " au ", last],
        state=state,
        is_final=is_final,
        rollout_date=french.day(facts.rollout[0].business_date) if facts.rollout else None,
        stages=[_stage(region, facts) for region in facts.regions] if facts.rollout else [],
        headings=[(each.title, each.meaning) for each in SHOWN.values()],
        figures=[
            (f"{region.region_name}{'*' if region.is_shared else ''}", _figures(region, facts))
            for region in facts.regions
        ]
        if facts.of_week(week)
        else [],
        outstanding=list(outstanding(facts))
        or [["Rien ne sort de l'ordinaire." if facts.of_week(week) else "Aucun chiffre à juger."]],
        links=_links(facts.directorate.directorate_code, airflow, bi_address),
        source=[
            "Calcul nº",
            french.SPACE,
            NumberShown(str(facts.build.build_id), str(facts.build.build_id)),
            ", publié le ",
            french.day(facts.build.published_at.astimezone(PARIS).date()),
            ".",
        ],
        has_shared=any(region.is_shared for region in facts.regions),
    )


def _state(facts: WeekFacts) -> tuple[bool | None, Text]:
    """Whether the four figures are final, and why not."""
    missing = _missing(facts)
    shown = [each for each in facts.of_week(facts.week) if each.metric in SHOWN]
    if not facts.of_week(facts.week):
        return None, french.sentences(["Aucun chiffre pour cette semaine."], *missing)
    provisional = {each.metric for each in shown if not each.is_complete}
    if not provisional and len(shown) == len(SHOWN) * len(facts.regions):
        return True, french.sentences(["Chiffres définitifs."], *missing)
    if not provisional:
        return True, french.sentences(
            ["Chiffres définitifs ; certains n'existent pas cette semaine."], *missing
        )
    if len(provisional) == len(SHOWN):
        return False, french.sentences(["Chiffres provisoires."], *missing)
    titles = [[f"«{french.SPACE}{SHOWN[name].title}{french.SPACE}»"] for name in SHOWN if name in provisional]
    return False, french.sentences(["Provisoire : ", *french.joined(titles), "."], *missing)


def _missing(facts: WeekFacts) -> Iterator[Text]:
    """A sentence per feed and reason: which deliveries of the week are not in the figures."""
    known = {(each.feed, each.business_date): each for each in facts.deliveries}
    found: dict[tuple[str, str], list[date]] = defaultdict(list)
    for feed in FEEDS:
        for each in facts.week.days:
            reason = _reason(known.get((feed, each)), is_expected=feed in FACTS_OF_A_DAY)
            if reason:
                found[feed, reason].append(each)
    for (feed, reason), dates in found.items():
        when: Text = ["toute la semaine"] if dates == facts.week.days else french.days(dates)
        yield [f"Livraison «{french.SPACE}{FEEDS[feed]}{french.SPACE}» {reason} : ", *when, "."]


def _reason(delivery: DeliveryState | None, *, is_expected: bool) -> str:
    """Why a delivery is not in the figures; empty if it is, or is not expected."""
    if delivery is None:
        return "pas encore reçue" if is_expected else ""
    if delivery.status == "published" or not (delivery.is_due or is_expected):
        return ""
    return {"refused": "refusée", "arriving": "en cours de chargement"}.get(delivery.status, "manquante")


def _stage(region: OwnRegion, facts: WeekFacts) -> RegionStage:
    """Markets of the same state in one sentence."""
    alike: dict[str, tuple[list[str], Text]] = {}
    for each in facts.rollout:
        if each.region_code == region.region_code:
            state = _rollout_state(each)
            alike.setdefault(french.plain(state), ([], state))[0].append(MARKET_NAMES[each.market])
    return RegionStage(
        region.region_name,
        [[*french.joined([[name] for name in names]), " : ", *state] for names, state in alike.values()]
        or [["hors du plan de déploiement"]],
    )


def _rollout_state(each: RolloutState) -> Text:
    planned = french.day(each.planned_go_live_date) if each.planned_go_live_date else "une date inconnue"
    if each.status == "reverted" and each.withdrawn_on:
        return ["retiré le ", french.day(each.withdrawn_on)]
    if each.status in ("live", "stalled") and each.observed_go_live_date:
        since: list[TextPart] = ["en service depuis le ", french.day(each.observed_go_live_date)]
        if each.is_older_than_data:
            since += [" au plus tard (prévu le ", planned, ")"]
        elif each.planned_go_live_date == each.observed_go_live_date:
            since.append(", comme prévu")
        else:
            since += [" (prévu le ", planned, ")"]
        if each.status == "stalled":
            since.append(", mais moins de la moitié des appels sont traités en région")
        return since
    if each.status == "late":
        return ["en retard, prévu le ", planned]
    return ["prévu le ", planned]


def _figures(region: OwnRegion, facts: WeekFacts) -> list[RegionFigure]:
    return [_figure(facts, facts.series(region.region_code, name), name) for name in SHOWN]


def _limits(metric: Metric, lower: Decimal, upper: Decimal) -> Text:
    """The limits of a figure. None is negative, and no share is above 1: what lies beyond is not shown."""
    is_below, is_above = lower < 0, metric.scale == 100 and upper > 1
    if is_below and is_above:
        return ["limites trop larges pour juger"]
    if is_below:
        return ["limite haute ", metric.written(upper)]
    if is_above:
        return ["limite basse ", metric.written(lower)]
    return ["limites ", metric.written(lower), " à ", metric.written(upper)]


def _figure(facts: WeekFacts, series: Sequence[ChartedWeek], name: str) -> RegionFigure:
    metric = SHOWN[name]
    by_week = {each.week_start_date: each for each in series}
    now = by_week.get(facts.week.monday)
    before = by_week.get(facts.week.earlier(1).monday)
    limits: Text = ["pas encore de limites"]
    if now and now.lower_limit is not None and now.upper_limit is not None:
        limits = _limits(metric, now.lower_limit, now.upper_limit)
    return RegionFigure(
        value=_value(now, name),
        before=["semaine précédente ", *_value(before, name)],
        limits=limits,
        verdict=_verdict(now, name),
        is_judged=bool(now and now.signal),
        is_good=bool(now and now.signal and is_good(now)),
        scale=_scale(metric, series),
        chart=chart(series, facts.week),
    )


def _scale(metric: Metric, series: Sequence[ChartedWeek]) -> Text:
    """Between which values the line of the chart runs; empty if it is a point."""
    values = [each.metric_value for each in series if each.metric_value is not None]
    if len(values) < 2:
        return []
    return ["courbe de ", metric.written(min(values)), " à ", metric.written(max(values))]


def _value(each: ChartedWeek | None, name: str) -> Text:
    if each is None:
        return ["pas de chiffre"]
    if each.metric_value is None:
        return ["masqué (peu de personnes)"]
    return [SHOWN[name].written(each.metric_value)]


def _verdict(each: ChartedWeek | None, name: str) -> str:
    """What is said of the figure in a word or two."""
    if each is None:
        return ""
    if each.signal:
        where = {
            "above_upper_limit": "au-dessus des limites",
            "below_lower_limit": "en dessous des limites",
            "run_above_mean": "durablement plus haut",
            "run_below_mean": "durablement plus bas",
        }[each.signal]
        return f"{where}, {'favorable' if is_good(each) else 'défavorable'}"
    if not each.is_complete:
        return "provisoire"
    return "semaine d'exception, non jugée" if each.is_event_week else ""


def _links(directorate_code: str, airflow: str, bi_address: str) -> list[ReadOn]:
    pages = {
        "La direction, semaine par semaine": f"/directorates/{directorate_code}?step=week",
        "Le déploiement": "/rollout",
        "Les livraisons": "/calendar",
        "Définition des chiffres": "/project",
    }
    found = [ReadOn(label, f"{airflow}/parc{path}") for label, path in pages.items()] if airflow else []
    return [*found, ReadOn("Tous les chiffres, par un outil de BI", bi_address)]
