"""Check everything the platform stands on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from parc import desk, routing, storage
from parc.errors import ConfigurationError, ParcError
from parc.host import services
from parc.loading.names import told
from parc.loading.pseudonyms import check_key, check_list, weakness
from parc.platform.status import processes_gone
from parc.routing.steering.night import newest_business_date
from parc.settings import Settings
from parc.warehouse import connect, logins
from parc.warehouse.schema import looking, pending_migrations


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


def checks(settings: Settings) -> list[Check]:
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
    on_desk = processes_gone(settings)
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
    if not any(program.pid for program in services.programs(settings)):
        return services.elsewhere(settings) or "not started (`parc up` starts it)"
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
