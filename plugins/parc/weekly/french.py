"""French words for dates, numbers and the codes of the marts. A sentence is a list of parts, so that whoever
checks the page finds each number and each date in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from itertools import chain

SPACE = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
_DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)


@dataclass(frozen=True)
class NumberShown:
    """A number of the marts, and how it is shown."""

    shown: str
    value: str
    is_day = False


@dataclass(frozen=True)
class DayShown:
    """A date, and how it is shown."""

    shown: str
    value: str
    is_day = True


TextPart = str | NumberShown | DayShown
Text = Sequence[TextPart]


def plain(text: Text) -> str:
    """A sentence without its marks."""
    return "".join(part if isinstance(part, str) else part.shown for part in text)


def joined(texts: Sequence[Text], between: str = ", ", last: str = " et ") -> list[TextPart]:
    """Sentences in a row: a, b et c."""
    parts: list[TextPart] = []
    for number, text in enumerate(texts):
        if number:
            parts.append(last if number == len(texts) - 1 else between)
        parts += text
    return parts


@dataclass(frozen=True)
class Metric:
    """A figure of `mart_process_behaviour`: its title, what it says in full, and how its values are written:
    `scale` times the value, then the unit. `is_better_high` says which way is better; a week's value is final
    `weeks_until_final` weeks later."""

    title: str
    meaning: str
    is_better_high: bool
    unit: str = f"{SPACE}%"
    scale: int = 100
    weeks_until_final: int = 0

    def written(self, value: Decimal) -> NumberShown:
        """A value to one decimal."""
        rounded = (value * self.scale).quantize(Decimal("0.1"), ROUND_HALF_UP)
        return NumberShown(f"{_written(rounded)}{self.unit}", str(value))


SHOWN = {
    "home_region_rate": Metric(
        "Traités en région",
        "appels traités par leur direction régionale, de ceux répondus aux heures d'ouverture",
        is_better_high=True,
    ),
    "service_level": Metric(
        "Répondus en 20 secondes",
        "appels répondus en 20 secondes au plus, de ceux à répondre",
        is_better_high=True,
    ),
    "satisfaction": Metric(
        "Clients satisfaits",
        "notes 4 et 5 des enquêtes après appel",
        is_better_high=True,
    ),
    "call_rate": Metric(
        "Appels pour 1\N{NO-BREAK SPACE}000 lignes",
        "appels reçus dans la semaine pour 1\N{NO-BREAK SPACE}000 lignes",
        is_better_high=False,
        unit="",
        scale=1,
    ),
}
"""The four figures of the page, in its order."""

METRICS = SHOWN | {
    "abandonment_rate": Metric("Appels abandonnés", "", is_better_high=False),
    "mean_wait_seconds": Metric("Attente moyenne", "", is_better_high=False, unit=f"{SPACE}s", scale=1),
    "offshore_in_hours_share": Metric(
        "Traités hors de France aux heures d'ouverture", "", is_better_high=False
    ),
    "repeat_7d_rate": Metric("Rappels sous 7 jours", "", is_better_high=False, weeks_until_final=1),
    "left_unserved_rate": Metric("Visiteurs de boutique repartis sans être reçus", "", is_better_high=False),
    "appointment_kept_rate": Metric("Rendez-vous d'intervention tenus", "", is_better_high=True),
    "first_time_right_rate": Metric(
        "Interventions réussies du premier coup", "", is_better_high=True, weeks_until_final=5
    ),
}
"""All that can stand out."""

MARKET_NAMES = {"fixe": "fixe", "internet": "Internet", "open": "Open"}

FEEDS = {
    "calls": "appels",
    "boutique_visits": "visites en boutique",
    "interventions": "interventions",
    "active_lines": "lignes actives",
    "boutiques": "boutiques",
    "line_assignments": "rattachement des lignes",
    "numbering_plan": "plan de numérotation",
}


def count(value: int) -> NumberShown:
    """A whole number."""
    return NumberShown(_written(Decimal(value)), str(value))


def day(value: date, *, with_weekday: bool = False, with_year: bool = True) -> DayShown:
    """A date such as mercredi 25 avril 2012."""
    number = "1er" if value.day == 1 else str(value.day)
    words = [_DAYS[value.weekday()]] if with_weekday else []
    words += [number, _MONTHS[value.month - 1]]
    words += [str(value.year)] if with_year else []
    return DayShown(SPACE.join(words), value.isoformat())


def days(values: Sequence[date]) -> list[TextPart]:
    """Dates of one week: mardi 24 et mercredi 25 avril."""
    return joined([[day(each, with_weekday=True, with_year=False)] for each in values])


def _written(value: Decimal) -> str:
    grouped = f"{abs(value):,}".replace(",", SPACE).replace(".", ",")
    return f"{MINUS}{grouped}" if value < 0 else grouped


def sentences(*texts: Text) -> list[TextPart]:
    """Several sentences as one text."""
    return list(chain.from_iterable(([" ", *text] if number else text) for number, text in enumerate(texts)))
