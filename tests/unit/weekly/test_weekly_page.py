"""What the weekly page says: French wording, and weeks that are not as they should be."""

from __future__ import annotations

import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pypdf
import pytest

from parc.errors import ConfigurationError
from parc.settings import Settings
from parc.weekly import files
from parc.weekly.addresses import addresses
from parc.weekly.content import PageContent, compose
from parc.weekly.files import as_html, as_pdf
from parc.weekly.french import METRICS, SHOWN, Text, day, plain
from parc.weekly.reading import (
    ChartedWeek,
    DeliveryState,
    Directorate,
    FiguresBuild,
    OwnRegion,
    RolloutState,
    WeekFacts,
)
from parc.weekly.week import IsoWeek
from support.weekly import numbers_of, of_html

WEEK = IsoWeek.named("2012-W17")
BRETAGNE, LOIRE = OwnRegion("53", "Bretagne", False), OwnRegion("52", "Pays de la Loire", False)
REGIONS = (BRETAGNE, LOIRE)
DAILY = ("calls", "boutique_visits", "interventions")


def charted(region: OwnRegion, metric: str, weeks_ago: int = 0, **others: object) -> ChartedWeek:
    """A week within its limits."""
    value = Decimal("0.7251") if METRICS[metric].scale == 100 else Decimal("38.24")
    given = ChartedWeek(
        WEEK.earlier(weeks_ago).monday,
        region.region_code,
        metric,
        value,
        value - Decimal("0.05"),
        value,
        value + Decimal("0.05"),
        2,
        None,
        is_complete=True,
        is_event_week=False,
    )
    return replace(given, **others)  # type: ignore[arg-type]


def state(region: OwnRegion, market: str, status: str, observed: date | None = None) -> RolloutState:
    return RolloutState(WEEK.sunday, region.region_code, market, status, date(2012, 4, 25), observed, None)


def facts(**others: object) -> WeekFacts:
    """A week in which all is well: every delivery came, every figure is final and within its limits."""
    given = WeekFacts(
        Directorate("OUEST", "Ouest"),
        WEEK,
        FiguresBuild(12, datetime(2012, 4, 30, 3, tzinfo=UTC)),
        REGIONS,
        [state(region, market, "planned") for region in REGIONS for market in ("fixe", "internet")],
        [
            charted(region, metric, ago, **before)
            for region in REGIONS
            for metric in METRICS
            for ago, before in ((1, {"metric_value": Decimal("0.6941")}), (0, {}))
        ],
        [DeliveryState(feed, each, "published", True, 0) for feed in DAILY for each in WEEK.days],
    )
    return replace(given, **others)  # type: ignore[arg-type]


def page(given: WeekFacts) -> PageContent:
    return compose(given, "http://127.0.0.1:8080", "postgresql://bi_ouest@127.0.0.1:5432/parc")


def with_row(given: WeekFacts, changed: ChartedWeek) -> WeekFacts:
    """The facts with another row of the same week, region and metric."""
    key = (changed.week_start_date, changed.region_code, changed.metric)
    others = [each for each in given.charted if (each.week_start_date, each.region_code, each.metric) != key]
    return replace(given, charted=[*others, changed])


def said(text: Text) -> str:
    """A sentence with ordinary spaces."""
    return plain(text).replace("\xa0", " ")


def outstanding(given: WeekFacts) -> list[str]:
    return [said(line) for line in page(given).outstanding]


def test_a_week_in_which_all_is_well() -> None:
    made = page(facts())
    assert said(made.week) == "Semaine 17 : du lundi 23 avril 2012 au dimanche 29 avril 2012"
    assert (made.is_final, said(made.state)) == (True, "Chiffres définitifs.")
    assert outstanding(facts()) == ["Rien ne sort de l'ordinaire."]
    assert [(each.region, [said(text) for text in each.states]) for each in made.stages] == [
        ("Bretagne", ["fixe et Internet : prévu le 25 avril 2012"]),
        ("Pays de la Loire", ["fixe et Internet : prévu le 25 avril 2012"]),
    ]
    [(region, figures), _] = made.figures
    assert region == "Bretagne" and len(figures) == len(SHOWN) == 4
    assert [said(each.value) for each in figures] == ["72,5 %", "72,5 %", "72,5 %", "38,2"]
    assert said(figures[0].before) == "semaine précédente 69,4 %"
    assert said(figures[0].limits) == "limites 67,5 % à 77,5 %"
    assert {(each.verdict, each.is_judged) for each in figures} == {("", False)}
    assert said(made.source) == "Calcul nº 12, publié le 30 avril 2012."


@pytest.mark.parametrize(
    ("status", "observed", "sentence"),
    [
        ("live", date(2012, 4, 25), "fixe : en service depuis le 25 avril 2012, comme prévu"),
        ("live", date(2012, 4, 27), "fixe : en service depuis le 27 avril 2012 (prévu le 25 avril 2012)"),
        ("late", None, "fixe : en retard, prévu le 25 avril 2012"),
        ("late", date(2012, 5, 2), "fixe : en retard, prévu le 25 avril 2012"),
        (
            "stalled",
            date(2012, 4, 25),
            "fixe : en service depuis le 25 avril 2012, comme prévu, mais moins de la moitié des appels sont "
            "traités en région",
        ),
    ],
)
def test_the_state_of_the_rollout(status: str, observed: date | None, sentence: str) -> None:
    """A go-live after the week is not known on its page."""
    made = page(facts(rollout=[state(BRETAGNE, "fixe", status, observed)]))
    assert [said(each) for each in made.stages[0].states] == [sentence]
    assert [said(each) for each in made.stages[1].states] == ["hors du plan de déploiement"]
    went_live = [line for line in map(said, made.outstanding) if "en service" in line]
    assert len(went_live) == (status in ("live", "stalled"))


def test_a_region_that_was_live_before_the_data_begins() -> None:
    """Its first day of data is no go-live, and the days since the plan are no delay."""
    older = replace(state(BRETAGNE, "fixe", "live", WEEK.monday), is_older_than_data=True)
    made = page(facts(rollout=[older]))
    [sentence] = map(said, made.stages[0].states)
    assert sentence == "fixe : en service depuis le 23 avril 2012 au plus tard (prévu le 25 avril 2012)"
    assert not [line for line in map(said, made.outstanding) if "en service" in line]


def test_a_withdrawn_region() -> None:
    gone = replace(state(BRETAGNE, "open", "reverted"), withdrawn_on=date(2012, 4, 1))
    assert said(page(facts(rollout=[gone])).stages[0].states[0]) == "Open : retiré le 1er avril 2012"


def test_a_week_that_is_not_final_says_so() -> None:
    one = with_row(facts(), charted(LOIRE, "call_rate", is_complete=False))
    made = page(one)
    assert (made.is_final, said(made.state)) == (False, "Provisoire : « Appels pour 1 000 lignes ».")
    assert [figures[3].verdict for _, figures in made.figures] == ["", "provisoire"]
    everything = replace(facts(), charted=[replace(each, is_complete=False) for each in facts().charted])
    assert said(page(everything).state) == "Chiffres provisoires."


def test_a_missing_delivery_says_so() -> None:
    given = [
        each
        for each in facts().deliveries
        if (each.feed, each.business_date) not in {("calls", WEEK.sunday), ("interventions", WEEK.sunday)}
    ]
    given += [
        DeliveryState("calls", WEEK.sunday, "refused", True, 0),
        DeliveryState("boutiques", WEEK.monday, "missing", True, 0),
        DeliveryState("numbering_plan", WEEK.monday, "refused", False, 0),
    ]
    assert said(page(facts(deliveries=given)).state) == (
        "Chiffres définitifs. Livraison « appels » refusée : dimanche 29 avril. "
        "Livraison « interventions » pas encore reçue : dimanche 29 avril. "
        "Livraison « boutiques » manquante : lundi 23 avril."
    )


def test_a_week_without_data_says_so() -> None:
    made = page(facts(charted=[], rollout=[], deliveries=[]))
    assert made.is_final is None and not made.figures and not made.stages
    assert said(made.state).startswith(
        "Aucun chiffre pour cette semaine. Livraison « appels » pas encore reçue : toute la semaine."
    )
    text = of_html(as_html(made)).text
    assert "Aucun chiffre à juger." in text and "ordinaire" not in text
    assert "Aucun appel livré dans la semaine : état inconnu." in text
    assert "Les données de cette semaine ne sont pas dans les marts." in text


@pytest.mark.parametrize(
    ("metric", "lower", "upper", "shown"),
    [
        ("satisfaction", "-0.552", "0.9", "limite haute 90,0 %"),
        ("satisfaction", "0.3", "1.2", "limite basse 30,0 %"),
        ("satisfaction", "-0.552", "1.755", "limites trop larges pour juger"),
        ("call_rate", "-3.1", "60.0", "limite haute 60,0"),
        ("call_rate", "3.1", "60.0", "limites 3,1 à 60,0"),
    ],
)
def test_limits_that_no_figure_can_reach_are_not_shown(
    metric: str, lower: str, upper: str, shown: str
) -> None:
    wide = charted(BRETAGNE, metric, lower_limit=Decimal(lower), upper_limit=Decimal(upper))
    made = page(with_row(facts(), wide))
    assert said(made.figures[0][1][list(SHOWN).index(metric)].limits) == shown


def test_figures_of_few_persons_and_without_limits() -> None:
    hidden = charted(BRETAGNE, "satisfaction", metric_value=None, lower_limit=None, upper_limit=None)
    made = page(with_row(facts(), hidden))
    figure = made.figures[0][1][2]
    assert said(figure.value) == "masqué (peu de personnes)"
    assert said(figure.limits) == "pas encore de limites"
    gone = [each for each in facts().charted if (each.region_code, each.metric) != ("53", "satisfaction")]
    figure = page(facts(charted=gone)).figures[0][1][2]
    assert (said(figure.value), said(figure.before), figure.chart) == (
        "pas de chiffre",
        "semaine précédente pas de chiffre",
        "",
    )


@pytest.mark.parametrize(
    ("metric", "signal", "verdict", "line"),
    [
        (
            "satisfaction",
            "above_upper_limit",
            "au-dessus des limites, favorable",
            "Bretagne, Clients satisfaits : 72,5 %, au-dessus de la limite de 77,5 %, favorable.",
        ),
        (
            "call_rate",
            "run_above_mean",
            "durablement plus haut, défavorable",
            "Bretagne, Appels pour 1 000 lignes : 38,2, 9 semaines de suite au-dessus de la moyenne de 38,2, "
            "défavorable.",
        ),
        (
            "mean_wait_seconds",
            "below_lower_limit",
            "",
            "Bretagne, Attente moyenne : 38,2 s, en dessous de la limite de 38,2 s, favorable.",
        ),
    ],
)
def test_what_is_out_of_the_ordinary_stands_out(metric: str, signal: str, verdict: str, line: str) -> None:
    given = with_row(facts(), charted(BRETAGNE, metric, signal=signal, run_length=9))
    assert outstanding(given) == [line]
    assert [each.verdict for each in page(given).figures[0][1] if each.is_judged] == (
        [verdict] if verdict else []
    )


def test_figures_that_are_final_later_are_told_when_they_are() -> None:
    """Repeats of a week are known a week later: no page would ever tell them."""
    early = with_row(facts(), charted(BRETAGNE, "repeat_7d_rate", signal="above_upper_limit"))
    assert outstanding(early) == ["Rien ne sort de l'ordinaire."]
    due = with_row(facts(), charted(BRETAGNE, "repeat_7d_rate", 1, signal="above_upper_limit"))
    assert outstanding(due) == [
        "Bretagne, Rappels sous 7 jours (semaine 16) : 72,5 %, au-dessus de la limite de 77,5 %, défavorable."
    ]


def test_events_and_corrected_deliveries_stand_out() -> None:
    given = with_row(facts(), charted(LOIRE, "satisfaction", is_event_week=True))
    given = replace(
        given,
        deliveries=[
            replace(
                each, restatement_count=int(each.feed == "calls" and each.business_date < date(2012, 4, 25))
            )
            for each in given.deliveries
        ],
    )
    assert outstanding(given) == [
        "Événement exceptionnel au calendrier, semaine non jugée : Pays de la Loire.",
        "Livraison « appels » corrigée : lundi 23 avril et mardi 24 avril.",
    ]
    assert page(given).figures[1][1][2].verdict == "semaine d'exception, non jugée"


def test_deliveries_that_were_late_or_first_refused_stand_out() -> None:
    given = [
        replace(
            each,
            was_late=(each.feed, each.business_date) == ("boutique_visits", date(2012, 4, 24)),
            refused_count=int((each.feed, each.business_date) == ("interventions", WEEK.monday)),
        )
        for each in facts().deliveries
    ]
    assert sorted(outstanding(facts(deliveries=given))) == [
        "Livraison « interventions » d'abord refusée : lundi 23 avril.",
        "Livraison « visites en boutique » arrivée en retard : mardi 24 avril.",
    ]


def test_a_chart_says_between_which_values_its_line_runs() -> None:
    assert said(page(facts()).figures[0][1][0].scale) == "courbe de 69,4 % à 72,5 %"
    one = [each for each in facts().charted if each.week_start_date == WEEK.monday]
    assert page(facts(charted=one)).figures[0][1][0].scale == []


def full() -> WeekFacts:
    """Four regions whose every figure is out of the ordinary, and as many faults as a week can have."""
    regions = [*REGIONS, OwnRegion("54", "Poitou-Charentes", True), OwnRegion("24", "Centre", False)]
    signal = {"signal": "below_lower_limit", "is_event_week": True}
    return facts(
        regions=regions,
        charted=[
            charted(region, name, ago, **signal)
            for region in regions
            for name in METRICS
            for ago in range(13)
        ],
        rollout=[
            state(region, market, "live", WEEK.days[number])
            for region in regions
            for number, market in enumerate(("fixe", "internet", "open"))
        ],
        deliveries=[
            DeliveryState(feed, each, status, True, 1)
            for feed in DAILY
            for each, status in zip(WEEK.days, ["refused", "missing", "arriving"] * 3, strict=False)
        ],
    )


@pytest.mark.parametrize("given", [facts(), facts(charted=[], rollout=[], deliveries=[]), full()])
def test_the_pdf_is_one_page_with_the_same_numbers(given: WeekFacts) -> None:
    made = page(given)
    [sheet] = pypdf.PdfReader(BytesIO(as_pdf(made))).pages
    assert (round(sheet.mediabox.width), round(sheet.mediabox.height)) == (595, 842), "A4"
    assert numbers_of(sheet.extract_text()) == numbers_of(of_html(as_html(made)).text)
    assert as_pdf(made) == as_pdf(made)


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    html = as_html(page(full()))
    assert not re.search(r"<script|<link|<img|url\(|@import|\bsrc=|\son\w+=", html)
    assert 'lang="fr"' in html and html.count("<h1>") == 1


def test_names_are_text_in_both() -> None:
    wild = facts(regions=[OwnRegion("53", "<b>#panic() [x] *y*", False)])
    made = page(wild)
    assert "<b>#panic" not in as_html(made)
    [sheet] = pypdf.PdfReader(BytesIO(as_pdf(made))).pages
    assert "#panic() [x] *y*" in sheet.extract_text()


def write_often(path: Path) -> None:
    for _ in range(1000):
        files._put(path, b"a page" * 1000)


def test_two_processes_may_write_the_same_page(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(write_often, [tmp_path / "OUEST.html"] * 2))
    assert [each.name for each in tmp_path.iterdir()] == ["OUEST.html"]


def test_weeks_have_the_names_of_iso_8601() -> None:
    assert (WEEK.monday, WEEK.sunday) == (date(2012, 4, 23), date(2012, 4, 29))
    assert IsoWeek.of(date(2012, 4, 29)) == WEEK and IsoWeek.of(date(2012, 12, 31)).name == "2013-W01"
    assert IsoWeek.named("2009-W53").monday == date(2009, 12, 28)
    of_no_year = ("0000-W01", "0001-W01", "9999-W52")
    for wrong in ("2012-17", "2012-W60", "2012-W00", "2012-W53", "W17", "2012-W1", *of_no_year):
        with pytest.raises(ValueError):
            IsoWeek.named(wrong)


def test_dates_in_french() -> None:
    assert day(date(2012, 5, 1), with_weekday=True).shown == "mardi 1er mai 2012".replace(" ", "\xa0")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("directorate,address\n", "its first line must be directorate_code,address"),
        (
            "directorate_code,address\nWEST,a@example.fr\n",
            "line 2: 'WEST' is no directorate; there are OUEST, EST",
        ),
        ("directorate_code,address\nEST,a@example.fr\nOUEST,nobody\n", "line 3: this is no mail address"),
        ("directorate_code,address\nEST,\n", "line 2: this is no mail address"),
        ("directorate_code,address\nEST,a@example.fr?cc=b@example.fr\n", "line 2: this is no mail address"),
    ],
)
def test_a_wrong_address_is_named_by_its_line(tmp_path: Path, content: str, why: str) -> None:
    settings = Settings(home=tmp_path, landing="/x", switch="/y")
    (tmp_path / "weekly_addresses.csv").write_text(content)
    with pytest.raises(ConfigurationError, match=re.escape(why)) as raised:
        addresses(settings, ["OUEST", "EST"])
    assert "@" not in str(raised.value)


def test_addresses_of_each_directorate(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, landing="/x", switch="/y")
    assert addresses(settings, ["OUEST", "EST"]) == {"OUEST": [], "EST": []}
    other = tmp_path / "who.csv"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        addresses(replace(settings, weekly_addresses=other), ["OUEST", "EST"])
    other.write_text("directorate_code,address\nEST,dr.est@example.fr\nEST,DR.Est@example.fr\n")
    assert addresses(replace(settings, weekly_addresses=other), ["OUEST", "EST"]) == {
        "OUEST": [],
        "EST": ["dr.est@example.fr"],
    }
