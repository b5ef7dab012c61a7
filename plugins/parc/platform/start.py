"""Start and stop the platform: PostgreSQL, the switch, Airflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parc import storage
from parc.host import services, users
from parc.host.processes import locked
from parc.platform import bi, supervisor
from parc.routing.switches import local
from parc.settings import Settings
from parc.warehouse import connect, embedded, migrate


@dataclass(frozen=True)
class StartedPlatform:
    """What `up` started: the address of the warehouse, of the switch if it is the platform's own, and of
    Airflow, with a login, if it runs."""

    warehouse: str
    landing: str
    switch: str | None
    ui: str | None
    login: str | None

    def lines(self) -> list[str]:
        """What a person needs to know next."""
        lines = [f"warehouse  {self.warehouse}", f"landing    {self.landing}"]
        if self.switch:
            lines.append(f"switch     {self.switch}")
        if self.ui:
            other = (
                "" if self.ui.endswith(f":{services.PORT}") else f" (not on {services.PORT}, which was taken)"
            )
            lines += [f"Airflow    {self.ui}{other}", f"login      {self.login}"]
        return lines


def up(
    settings: Settings, *, with_airflow: bool = True, progress: Callable[[str], None] = lambda _: None
) -> StartedPlatform:
    """Start what does not run: the embedded server (which also holds Airflow's database and the own
    switch's), the switch, Airflow; then the supervisor, which starts again what ends by itself. The schemas
    are brought up to date. What runs is left alone. `progress` is called with each of these as it begins.

    Without Airflow, what has died of an Airflow that was started before is started again all the same.
    """
    supervisor.stop(settings)
    try:
        with locked(supervisor.lock_file(settings)):
            ui = _up(settings, with_airflow or services.was_started(settings), progress)
    finally:
        supervisor.start(settings)
    return describe(settings, ui)


def _up(settings: Settings, with_airflow: bool, progress: Callable[[str], None]) -> str | None:
    if with_airflow or not settings.warehouse_dsn or settings.has_own_switch:
        progress("starting PostgreSQL")
        embedded.start(settings)
    progress("bringing the warehouse's schema up to date")
    migrate(settings)
    if settings.has_own_switch:
        progress("starting the switch")
        local.start(settings)
    elif settings.switch_dsn:
        local.make_tables(settings)
    if "://" not in settings.landing:
        Path(settings.landing).mkdir(parents=True, exist_ok=True)
    users.keep_logins(settings)
    if not with_airflow:
        return None
    progress("starting Airflow")
    return services.start(settings, embedded.airflow_url(settings))


def check_landing(settings: Settings) -> None:
    """Raises ConfigurationError if the landing zone cannot be listed."""
    with storage.opened(settings.landing) as zone:
        zone.entries()


def describe(settings: Settings, ui: str | None) -> StartedPlatform:
    """The addresses of the platform's parts."""
    with connect(settings, "reader") as connection:
        info = connection.info
        place = f"postgresql://{info.host}:{info.port}/{info.dbname}"
    login = f"{users.ADMIN} / {users.password(settings, users.ADMIN)}" if ui else None
    switch = f"sip:127.0.0.1:{local.calls_port(settings)}" if settings.has_own_switch else None
    return StartedPlatform(place, settings.landing, switch, ui, login)


def down(settings: Settings, *, with_switch: bool = True) -> list[str]:
    """Stop the supervisor, Superset, Airflow's processes, the own switch and the embedded server, in this
    order; returns what ran. `with_switch` False leaves the switch to its calls."""
    stopped = ["supervisor"] if supervisor.stop(settings) else []
    stopped += bi.stop(settings)
    with locked(supervisor.lock_file(settings)):
        stopped += services.stop(settings)
        if with_switch and local.stop(settings):
            stopped.append("kamailio")
        if embedded.stop(settings):
            stopped.append("postgresql")
    return stopped
