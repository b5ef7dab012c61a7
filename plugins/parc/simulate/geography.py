"""The operator's geography, read from the governed seeds of the dbt project."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from parc import seed_rules
from parc.feeds.declaration import MARKETS
from parc.findings import Step
from parc.settings import PROJECT
from parc.simulate.chance import Bools, Floats, Ints
from parc.simulate.errors import SimulationError

SEEDS = PROJECT / "dbt_project" / "seeds"
NATIONAL = "national"
UNKNOWN_ZONE = "*"

# Population in thousands around 2012, rounded: a department's weight among the customers.
_INHABITANTS = """
01:612 02:540 03:343 04:161 05:140 06:1082 07:319 08:282 09:153 10:306 11:362 12:276 13:1984 14:687 15:147
16:353 17:628 18:311 19:241 2A:146 2B:171 21:527 22:595 23:121 24:416 25:530 26:491 27:591 28:432 29:901
30:725 31:1279 32:190 33:1483 34:1077 35:1008 36:230 37:596 38:1224 39:261 40:392 41:332 42:753 43:225
44:1313 45:663 46:175 47:332 48:77 49:796 50:500 51:568 52:182 53:307 54:732 55:193 56:732 57:1046 58:218
59:2588 60:807 61:290 62:1463 63:638 64:660 65:229 66:457 67:1104 68:755 69:1762 70:239 71:555 72:568 73:421
74:756 75:2241 76:1253 77:1353 78:1413 79:371 80:571 81:379 82:246 83:1014 84:547 85:648 86:429 87:376 88:377
89:341 90:144 91:1237 92:1586 93:1538 94:1341 95:1187 971:404 972:388 973:239 974:834 976:213
"""


@dataclass(frozen=True)
class Site:
    """A call site; `directorate` is -1 for partners, `closed_on` the first closed day. On the holidays of its
    calendar (empty: none) it is closed."""

    code: str
    is_partner: bool
    directorate: int
    time_zone: str
    holiday_calendar: str
    opened_on: date
    closed_on: date | None

    def is_open(self, day: date) -> bool:
        """Whether the site exists on `day`."""
        return self.opened_on <= day and (self.closed_on is None or day < self.closed_on)


@dataclass(frozen=True)
class Geography:
    """The operator's map. Departments, regions, zones, sites and everything else with a code are numbered by
    their index in the tuples.

    Zone 0 is for callers whose zone is unknown; it has no region (-1).
    """

    department_codes: tuple[str, ...]
    department_region: Ints
    department_weight: Floats
    region_codes: tuple[str, ...]
    region_names: tuple[str, ...]
    region_is_overseas: Bools
    directorate_codes: tuple[str, ...]
    directorate_spans: tuple[tuple[int, int, date, date | None], ...]
    unit_codes: tuple[str, ...]
    unit_directorate: Ints
    zone_codes: tuple[str, ...]
    zone_region: Ints
    zone_time_zone: tuple[str, ...]
    zone_calendar: tuple[str, ...]
    zone_spans: tuple[tuple[int, int, date, date | None], ...]
    hours: dict[tuple[int, int], list[tuple[timedelta, timedelta]]]
    holidays: dict[str, frozenset[date]]
    plan: dict[tuple[int, int], tuple[date, date | None]]
    sites: tuple[Site, ...]
    routes: dict[tuple[str, str, str], dict[int, list[tuple[int, float]]]]
    positions: dict[tuple[int, int], Floats]
    service_numbers: tuple[str, ...]
    default_prefixes: tuple[tuple[str, int], ...]
    events: frozenset[tuple[date, int | None]]

    @classmethod
    def load(cls, seeds: Path = SEEDS) -> Geography:
        """Read the seeds. Raises SimulationError, naming what is missing or breaks a rule."""
        if problems := seed_rules.problems(seeds):
            raise SimulationError(
                f"the seeds are not sound:\n{seed_rules.described(problems)}",
                steps=(Step(f"correct these lines in {seeds}"), Step("check them", "parc check seeds")),
            )
        departments = _rows(seeds, "departments")
        inhabitants = dict(pair.split(":") for pair in _INHABITANTS.split())
        unweighted = sorted({row["department_code"] for row in departments} - inhabitants.keys())
        if unweighted:
            raise SimulationError(
                f"departments.csv: no population weight for department(s) {', '.join(unweighted)}; "
                "add them to parc/simulate/geography.py"
            )
        departments.sort(key=lambda row: row["department_code"])
        regions = sorted(_rows(seeds, "regions"), key=lambda row: row["region_code"])
        region_number = {row["region_code"]: n for n, row in enumerate(regions)}
        zones = sorted(
            _rows(seeds, "zones"), key=lambda row: (row["zone_code"] != UNKNOWN_ZONE, row["zone_code"])
        )
        zone_number = {row["zone_code"]: n for n, row in enumerate(zones)}
        if zone_number.get(UNKNOWN_ZONE) != 0:
            raise SimulationError("zones.csv: the national default zone '*' is missing; add its row")
        department_number = {row["department_code"]: n for n, row in enumerate(departments)}

        directorates = [row["directorate_code"] for row in _rows(seeds, "directorates")]
        directorate_number = {code: n for n, code in enumerate(directorates)}
        units = _rows(seeds, "intervention_units")
        sites = _rows(seeds, "sites")
        site_number = {row["site_code"]: n for n, row in enumerate(sites)}
        routes: dict[tuple[str, str, str], dict[int, list[tuple[int, float]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for row in _rows(seeds, "route_sites"):
            key = (row["route_code"], row["market"], row["band"])
            routes[key][int(row["priority"])].append((site_number[row["site_code"]], float(row["weight"])))
        positions: dict[tuple[int, int], Floats] = defaultdict(lambda: np.zeros(48))
        for row in _rows(seeds, "site_positions"):
            half_hour = time.fromisoformat(row["half_hour_local"])
            slot = half_hour.hour * 2 + half_hour.minute // 30
            positions[site_number[row["site_code"]], int(row["weekday"])][slot] = float(row["position_count"])
        hours: dict[tuple[int, int], list[tuple[timedelta, timedelta]]] = defaultdict(list)
        for row in _rows(seeds, "zone_hours"):
            hours[zone_number[row["zone_code"]], int(row["weekday"])].append(
                (_since_midnight(row["opens_at"]), _since_midnight(row["closes_at"]))
            )
        holidays: dict[str, set[date]] = defaultdict(set)
        for row in _rows(seeds, "public_holidays"):
            holidays[row["holiday_calendar"]].add(date.fromisoformat(row["holiday_date"]))
        numbers = {row["market"]: row["dialled_number"] for row in reversed(_rows(seeds, "service_numbers"))}
        return cls(
            department_codes=tuple(department_number),
            department_region=np.array([region_number[row["region_code"]] for row in departments]),
            department_weight=np.array([float(inhabitants[code]) for code in department_number]),
            region_codes=tuple(region_number),
            region_names=tuple(row["region_name"] for row in regions),
            region_is_overseas=np.array([row["is_overseas"] == "true" for row in regions]),
            directorate_codes=tuple(directorates),
            directorate_spans=_spans(
                seeds, "department_directorate", "directorate_code", department_number, directorate_number
            ),
            unit_codes=tuple(row["unit_code"] for row in units),
            unit_directorate=np.array([directorate_number[row["directorate_code"]] for row in units]),
            zone_codes=tuple(zone_number),
            zone_region=np.array([region_number.get(row["region_code"], -1) for row in zones]),
            zone_time_zone=tuple(row["time_zone"] for row in zones),
            zone_calendar=tuple(row["holiday_calendar"] for row in zones),
            zone_spans=_spans(seeds, "routing_zones", "zone_code", department_number, zone_number),
            hours=dict(hours),
            holidays={calendar: frozenset(dates) for calendar, dates in holidays.items()},
            plan={
                (region_number[row["region_code"]], MARKETS.index(row["market"])): (
                    date.fromisoformat(row["planned_go_live_date"]),
                    _date(row["withdrawn_on"]),
                )
                for row in _rows(seeds, "rollout_plan")
            },
            sites=tuple(
                Site(
                    row["site_code"],
                    row["site_kind"] == "partner",
                    directorate_number.get(row["directorate_code"], -1),
                    row["time_zone"],
                    row["holiday_calendar"],
                    date.fromisoformat(row["opened_on"]),
                    _date(row["closed_on"]),
                )
                for row in sites
            ),
            routes={key: dict(priorities) for key, priorities in routes.items()},
            positions=dict(positions),
            service_numbers=tuple(numbers[market] for market in MARKETS),
            default_prefixes=tuple(
                sorted(
                    (row["prefix"], region_number[row["region_code"]])
                    for row in _rows(seeds, "numbering_default")
                )
            ),
            events=frozenset(
                (date.fromisoformat(row["event_date"]), region_number.get(row["region_code"]))
                for row in _rows(seeds, "event_calendar")
            ),
        )

    @cached_property
    def department_is_overseas(self) -> Bools:
        """Whether each department lies overseas."""
        overseas: Bools = self.region_is_overseas[self.department_region]
        return overseas

    @cached_property
    def zones_alike(self) -> tuple[Ints, ...]:
        """The zones, grouped by clock and holiday calendar."""
        alike: dict[tuple[str, str], list[int]] = defaultdict(list)
        for zone, key in enumerate(zip(self.zone_time_zone, self.zone_calendar, strict=True)):
            alike[key].append(zone)
        return tuple(np.array(zones) for zones in alike.values())

    def department_zones(self, day: date) -> Ints:
        """The zone of each department on `day` (0 where it has none)."""
        return self._held_on(day, self.zone_spans, 0)

    def department_directorates(self, day: date) -> Ints:
        """The directorate of each department on `day` (-1 where it has none)."""
        return self._held_on(day, self.directorate_spans, -1)

    def _held_on(self, day: date, spans: tuple[tuple[int, int, date, date | None], ...], none: int) -> Ints:
        held = np.full(len(self.department_codes), none, dtype=np.int64)
        for department, holder, valid_from, valid_to in spans:
            if valid_from <= day and (valid_to is None or day < valid_to):
                held[department] = holder
        return held

    def days_live(self, day: date) -> Ints:
        """Days since going live per (region, market): 0 on the first day, -1 where not live."""
        days = np.full((len(self.region_codes), len(MARKETS)), -1, dtype=np.int64)
        for key, (go_live, withdrawn_on) in self.plan.items():
            if go_live <= day and (withdrawn_on is None or day < withdrawn_on):
                days[key] = (day - go_live).days
        return days

    def is_holiday(self, zone: int, day: date) -> bool:
        """Whether `day` is a public holiday where the zone is."""
        return day in self.holidays.get(self.zone_calendar[zone], frozenset())

    def windows(self, day: date) -> tuple[Ints, Ints]:
        """Opening windows of every zone around a business date: (opens, closes), each (zones, windows).

        In seconds since 1970 UTC, from the previous local day to the next one. Unused entries never open.
        """
        windows: list[list[tuple[int, int]]] = []
        for zone, name in enumerate(self.zone_time_zone):
            place = ZoneInfo(name)
            found = []
            for local in (day - timedelta(days=1), day, day + timedelta(days=1)):
                if self.is_holiday(zone, local):
                    continue
                midnight = datetime.combine(local, time.min, place)
                for opens, closes in self.hours.get((zone, local.isoweekday()), []):
                    found.append((int((midnight + opens).timestamp()), int((midnight + closes).timestamp())))
            windows.append(found)
        width = max(1, *(len(found) for found in windows))
        padded = np.zeros((len(windows), width, 2), dtype=np.int64)
        for zone, found in enumerate(windows):
            padded[zone, : len(found)] = found or np.zeros((0, 2))
        return padded[:, :, 0], padded[:, :, 1]


def _rows(seeds: Path, name: str) -> list[dict[str, str]]:
    path = seeds / f"{name}.csv"
    if not path.exists():
        raise SimulationError(
            f"{path} is missing, and the simulated operator is built from the governed seeds; restore it"
        )
    frame = pl.read_csv(path, infer_schema=False).fill_null("")
    return frame.to_dicts()


def _spans(
    seeds: Path, name: str, column: str, departments: dict[str, int], holders: dict[str, int]
) -> tuple[tuple[int, int, date, date | None], ...]:
    """Which zone or directorate a department belongs to, from when until when."""
    return tuple(
        (
            departments[row["department_code"]],
            holders[row[column]],
            date.fromisoformat(row["valid_from"]),
            _date(row["valid_to"]),
        )
        for row in _rows(seeds, name)
    )


def _since_midnight(text: str) -> timedelta:
    """A local time as what a clock has run since midnight; 24:00 is the end of the day."""
    return timedelta(seconds=seed_rules.seconds_of_day(text))


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
