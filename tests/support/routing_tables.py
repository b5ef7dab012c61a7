"""Desired routing tables of a small operator."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl

from parc.routing.table.inputs import SOURCES, Inputs

GO_LIVE = date(2012, 4, 25)


EVE = date(2012, 4, 24)


MARKETS = {"3900": "internet", "3901": "fixe"}


ZONES = {"35": "53", "44": "52", "974": "04"}


def frame(name: str, *rows: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=dict(SOURCES[name][1]), orient="row")


def world() -> Inputs:
    """Bretagne (53) goes live on 25 April 2012, Pays de la Loire (52) later, La Réunion (04) is live."""
    windows = []
    for zone in ("*", *ZONES.values()):
        for offset in range(250):
            day = date(2012, 3, 1) + timedelta(days=offset)
            opens = datetime.combine(day, time(6), UTC)
            windows.append((zone, day, opens, opens + timedelta(hours=12)))
    routes = []
    for code, site in (("national", "LYON"), ("53", "RENNES"), ("52", "NANTES"), ("04", "ST_DENIS_RE")):
        routes += [(code, "*", "open", 1, site, 60), (code, "*", "open", 1, f"{site}_2", 40)]
        routes += [(code, "*", "open", 2, "TUNIS", 100), (code, "*", "closed", 1, "TUNIS", 100)]
    sites = sorted({row[4] for row in routes} | {"SPARE"})
    return Inputs(
        services=frame("services", *MARKETS.items()),
        prefixes=frame(
            "prefixes",
            (date(1, 1, 1), "0299", "53"),
            *(
                (date(2012, 4, 1), prefix, zone)
                for prefix, zone in (
                    ("0299", "53"),
                    ("0240", "52"),
                    ("0262", "04"),
                    ("029912", "53"),
                    ("024012", "52"),
                    ("0390", "*"),
                )
            ),
            *((date(2012, 5, 1), prefix, zone) for prefix, zone in (("0299", "53"), ("029913", "52"))),
        ),
        department_zones=frame(
            "department_zones", *((dep, zone, date(1990, 1, 1), None) for dep, zone in ZONES.items())
        ),
        windows=frame("windows", *windows),
        routes=frame("routes", *routes),
        rollout=frame(
            "rollout",
            *(("53", market, GO_LIVE, None) for market in MARKETS.values()),
            *(("52", market, date(2012, 9, 1), None) for market in MARKETS.values()),
            *(("04", market, date(2012, 1, 1), None) for market in MARKETS.values()),
        ),
        sites=frame("sites", *((s, f"sip:{s.lower()}@127.0.0.1", date(1990, 1, 1), None) for s in sites)),
        line_assignments=frame(
            "line_assignments",
            ("+33299120001", "44", date(2012, 4, 1), None),
            ("+33699000001", "35", date(2012, 4, 1), None),
            ("+33699000002", "35", date(2012, 4, 1), date(2012, 4, 20)),
            ("+33699000003", "975", date(2012, 4, 1), None),
        ),
        urgent_zones=frame("urgent_zones"),
    )
