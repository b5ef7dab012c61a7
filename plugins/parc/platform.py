"""The platform as a whole: start, stop, what it is doing, and what is wrong with it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from psycopg.rows import dict_row

from parc import desk, routing, storage
from parc.desk import Due, Matter
from parc.errors import ConfigurationError, ParcError
from parc.loading.names import told
from parc.loading.pseudonyms import check_key, check_list, weakness
from parc.orchestration import services, users
from parc.routing.steering.night import newest_business_date
from parc.routing.switches import local
from parc.settings import Settings
from parc.warehouse import connect, embedded, logins, migrate
from parc.warehouse.schema import looking, pending_migrations

FEEDS = """
    select
        feed,
        count(*) filter (where status = 'published') as published_days,
        min(business_date) filter (where status = 'published') as first_day,
        max(business_date) filter (where status = 'published') as last_day,
        coalesce(sum(rows_published) filter (where status = 'published'), 0) as rows_published,
        coalesce(sum(rows_quarantined) filter (where status = 'published'), 0) as rows_quarantined,
        count(*) filter (where status = 'refused') as refused_deliveries,
        count(*) filter (where status = 'published' and built_in is null) as days_not_built
    from ops.delivery
    group by feed
    order by feed
"""
REFUSED = """
    select delivery_id, feed, business_date, reason
    from ops.delivery
    where status = 'refused'
    order by delivery_id desc
    limit 5
"""
BUILDS = """
    select
        build_id,
        status,
        is_full_refresh,
        date_trunc('second', started_at) as started_at,
        date_trunc('second', finished_at) as finished_at,
        left(reason, 200) as reason
    from ops.build
    order by build_id desc
    limit 3
"""


@dataclass(frozen=True)
class Started:
    """What `up` started: the warehouse's place, the switch's where it is the platform's own, and Airflow's
    address and login when it runs."""

    warehouse: str
    landing: str
    switch: str | None
    ui: str | None
    login: str | None

    def lines(self) -> list[str]:
        """What a person needs to go on."""
        lines = [f"warehouse  {self.warehouse}", f"landing    {self.landing}"]
        if self.switch:
            lines.append(f"switch     {self.switch}")
        if self.ui:
            lines += [f"Airflow    {self.ui}", f"login      {self.login}"]
        return lines


@dataclass(frozen=True)
class Check:
    """One thing the platform stands on: whether it holds, wants a look (`note`) or is wrong; what was found,
    and the command that mends it."""

    name: str
    state: Literal["ok", "note", "wrong"]
    finding: str
    command: str = ""

    @property
    def is_ok(self) -> bool:
        """Nothing is wrong with it; somebody may still have to look."""
        return self.state != "wrong"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "is_ok": self.is_ok}


@dataclass(frozen=True)
class Overview:
    """What the platform is doing: what wants a person, what was due of the newest night (None before the
    first), where routing stands, and rows of what runs, was loaded and built."""

    matters: list[Matter]
    night: date | None
    due: list[Due]
    processes: list[dict[str, Any]]
    feeds: list[dict[str, Any]]
    missing: list[dict[str, Any]]
    refused_lately: list[dict[str, Any]]
    builds: list[dict[str, Any]]
    routing: routing.Status

    def to_json(self) -> dict[str, Any]:
        """As JSON values (dates and instants as text)."""
        return {
            **vars(self),
            "matters": [asdict(matter) for matter in self.matters],
            "due": [asdict(delivery) for delivery in self.due],
            "routing": [self.routing.to_json()],
        }


def up(
    settings: Settings, *, with_airflow: bool = True, progress: Callable[[str], None] = lambda _: None
) -> Started:
    """Start the embedded server (also the home of Airflow's own database and of the own switch's), bring the
    schemas up to date, start the switch and Airflow. Does nothing where everything runs. `progress` hears of
    each of these as it begins."""
    if with_airflow or not settings.warehouse_dsn or local.is_own(settings):
        progress("starting PostgreSQL")
        embedded.start(settings)
    progress("bringing the warehouse's schema up to date")
    migrate(settings)
    if local.is_own(settings):
        progress("starting the switch")
        local.start(settings)
    elif settings.switch_dsn:
        local.make_tables(settings)
    if "://" not in settings.landing:
        Path(settings.landing).mkdir(parents=True, exist_ok=True)
    users.keep_logins(settings)
    if with_airflow:
        progress("starting Airflow")
    ui = services.start(settings) if with_airflow else None
    return describe(settings, ui)


def describe(settings: Settings, ui: str | None) -> Started:
    """Where the platform's parts are."""
    with connect(settings, "reader") as connection:
        info = connection.info
        place = f"postgresql://{info.host}:{info.port}/{info.dbname}"
    login = f"{users.ADMIN} / {users.password(settings, users.ADMIN)}" if ui else None
    switch = f"sip:127.0.0.1:{local.calls_port(settings)}" if local.is_own(settings) else None
    return Started(place, settings.landing, switch, ui, login)


def down(settings: Settings) -> list[str]:
    """Stop Airflow's processes, then the own switch, then the embedded server; returns what ran."""
    stopped = services.stop(settings)
    if local.stop(settings):
        stopped.append("kamailio")
    if embedded.stop(settings):
        stopped.append("postgresql")
    return stopped


def matters(settings: Settings, *, plan_for: date | None = None) -> list[Matter]:
    """Everything that wants a person: Airflow's processes that ended by themselves, then `desk.matters`.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    return _processes_gone(settings) + desk.matters(settings, plan_for=plan_for)


def status(settings: Settings) -> Overview:
    """What the platform is doing, and what waits for a person.

    Raises ConfigurationError when the warehouse cannot be reached, or its schema is not up to date.
    """
    found = matters(settings)
    for matter in found:
        if matter.kind == "schema":  # nothing else can be asked for
            raise ConfigurationError(f"{matter.what}; `{matter.command}` applies what is missing")
    night = desk.newest_night(settings)
    with connect(settings, "reader") as connection, connection.cursor(row_factory=dict_row) as cursor:
        feeds, refused, builds = (
            cursor.execute(query.encode()).fetchall() for query in (FEEDS, REFUSED, BUILDS)
        )
    return Overview(
        matters=found,
        night=night,
        due=desk.due(settings, night) if night else [],
        processes=[
            {"process": service.name, "pid": service.pid, "log": str(service.log)}
            for service in services.services(settings)
        ]
        + (
            [{"process": "kamailio", "pid": local.pid(settings), "log": str(local.log(settings))}]
            if local.is_own(settings)
            else []
        ),
        feeds=feeds,
        missing=desk.missing(settings),
        refused_lately=refused,
        builds=builds,
        routing=routing.status(settings),
    )


def doctor(settings: Settings) -> list[Check]:
    """Every check, in the order in which one would mend them: the environment, then what is on the desk.

    A warehouse that cannot be reached, or is not up to date, cannot be asked for the rest.
    """
    found = [
        _check("python", _python, settings),
        _check("landing zone", _landing, settings),
        _check("warehouse", _warehouse, settings),
    ]
    if found[-1].is_ok and not pending_migrations(settings):
        found.append(_logins(settings))
    areas = dict(AREAS)
    on_desk = _processes_gone(settings)
    if found[-1].is_ok:
        on_desk += desk.matters(settings, plan_for=_newest(settings))
    if not found[-1].is_ok or any(matter.kind == "schema" for matter in on_desk):
        areas = {name: areas[name] for name in ("schema", "airflow") if found[-1].is_ok or name == "airflow"}
    else:
        found.append(_check("pseudonym key", _pseudonym_key, settings))
        found.append(_check("forgotten", _forgotten, settings))
    for name, (kinds, all_is_well) in areas.items():
        matters_there = [matter for matter in on_desk if matter.kind in kinds]
        found += [
            Check(
                name,
                "wrong" if matter.is_wrong else "note",
                f"{matter.subject}: {matter.what}",
                matter.command,
            )
            for matter in matters_there
        ]
        if not matters_there:
            found.append(_check(name, all_is_well, settings))
    return found


def _check(name: str, check: Callable[[Settings], str], settings: Settings) -> Check:
    try:
        return Check(name, "ok", check(settings))
    except ParcError as error:
        return Check(name, "wrong", str(error))


def _logins(settings: Settings) -> Check:
    """Whether each room's login works, and what only a superuser can take away from readers."""
    for role in logins.ROOMS:
        try:
            with connect(settings, role) as connection:
                left = logins.left_to_superuser(connection)
        except ConfigurationError as error:
            command = f"parc up --no-airflow, which gives {logins.login(role)} the password of this platform"
            return Check("logins", "wrong", str(error), command)
    if left:
        finding = (
            f"readers may {', '.join(left)}; only a superuser can take that away, in this database, before "
            "the next `parc up --no-airflow`:"
        )
        script = (settings.project / logins.SUPERUSER).read_text().splitlines()
        statements = "\n".join(line for line in script if not line.startswith("--"))
        return Check("logins", "note", finding, statements)
    return Check("logins", "ok", "one for each room, readers do nothing but read")


def _newest(settings: Settings) -> date | None:
    try:
        return newest_business_date(settings)
    except ParcError:
        return None


def _processes_gone(settings: Settings) -> list[Matter]:
    switch = [
        Matter(
            "switch process", True, "kamailio", f"its process ended (log: {local.log(settings)})", "parc up"
        )
    ]
    return (switch if local.was_started(settings) and not local.pid(settings) else []) + [
        Matter(
            "process", True, f"airflow {service.name}", f"its process ended (log: {service.log})", "parc up"
        )
        for service in services.services(settings)
        if service.is_gone
    ]


def _python(_: Settings) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise ConfigurationError(f"Python {version}: 3.11 to 3.13 is needed; make setup PYTHON=python3.11")
    return version


def _landing(settings: Settings) -> str:
    with storage.opened(settings.landing) as zone:
        feeds = [told(entry.name) for entry in zone.entries()]
    return f"{settings.landing}: {', '.join(feeds) or 'empty'}"


def _warehouse(settings: Settings) -> str:
    with looking(settings) as connection:
        info = connection.info
        return f"PostgreSQL {info.server_version // 10000} at {info.host}:{info.port}/{info.dbname}"


def _forgotten(settings: Settings) -> str:
    with connect(settings, "loader") as connection:
        return check_list(connection, settings)


def _pseudonym_key(settings: Settings) -> str:
    with connect(settings, "loader") as connection:
        check_key(connection, settings)
    if why := weakness(settings):
        raise ConfigurationError(f"{why}, for a warehouse that is loaded anew: this one knows no other")
    return "that of the warehouse"


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(settings.home).free
    return f"{free / 1024**3:.0f} GiB free at {settings.home}"


def _schema(_: Settings) -> str:
    return "up to date"


def _airflow(settings: Settings) -> str:
    if not any(service.pid for service in services.services(settings)):
        return services.elsewhere() or "not started (`parc up` starts it)"
    return services.address(settings)


def _deliveries(_: Settings) -> str:
    return "none refused, none missing"


def _marts(settings: Settings) -> str:
    with connect(settings, "reader") as connection:
        row = connection.execute("select build_id from marts.published_build").fetchone()
    return f"build {row[0]}" if row else "nothing to build yet"


def _routing(settings: Settings) -> str:
    if routing.status(settings).version is None:
        return "no release yet"
    return routing.verify(settings).to_text()


AREAS: dict[str, tuple[tuple[str, ...], Callable[[Settings], str]]] = {
    "disk": (("disk",), _disk),
    "schema": (("schema",), _schema),
    "airflow": (("process", "notice"), _airflow),
    "deliveries": (("refused", "missing", "misdated", "interrupted", "quarantine"), _deliveries),
    "marts": (("build failed", "not built", "seeds"), _marts),
    "routing": (
        (
            "switch process",
            "drift",
            "unfinished release",
            "hold",
            "kill switch",
            "switch",
            "switch behind",
            "waiting",
            "routing refused",
        ),
        _routing,
    ),
}
"""What doctor tells together: the kinds of matters that belong there, what it says where there are none."""
