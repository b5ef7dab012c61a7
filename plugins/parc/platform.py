"""The platform as a whole: start, stop, what it is doing, and what is wrong with it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fsspec
import psycopg

from parc.errors import ConfigurationError, ParcError
from parc.loading.pseudonyms import check_key
from parc.orchestration import environment, services
from parc.settings import Settings
from parc.warehouse import connect, embedded, migrate
from parc.warehouse.schema import pending_migrations

NEEDED_BYTES = 2 * 1024**3
TOLD = 5


@dataclass(frozen=True)
class Started:
    """What `up` started: the warehouse's place, and Airflow's address and login when it runs."""

    warehouse: str
    landing: str
    ui: str | None
    login: str | None

    def lines(self) -> list[str]:
        """What a person needs to go on."""
        lines = [f"warehouse  {self.warehouse}", f"landing    {self.landing}"]
        if self.ui:
            lines += [f"Airflow    {self.ui}", f"login      {self.login}"]
        return lines


@dataclass(frozen=True)
class Check:
    """One thing the platform stands on: whether it holds, and if not, what mends it."""

    name: str
    is_ok: bool
    finding: str


def up(settings: Settings, *, with_airflow: bool = True) -> Started:
    """Start the embedded server (also the home of Airflow's own database), bring the schemas up to date, and
    start Airflow. Does nothing where everything runs."""
    if with_airflow or not settings.warehouse_dsn:
        embedded.start(settings)
    migrate(settings)
    if "://" not in settings.landing:
        fsspec.filesystem("file").makedirs(settings.landing, exist_ok=True)
    ui = services.start(settings) if with_airflow else None
    return describe(settings, ui)


def describe(settings: Settings, ui: str | None) -> Started:
    """Where the platform's parts are."""
    with connect(settings, "admin") as connection:
        info = connection.info
        place = f"postgresql://{info.host}:{info.port}/{info.dbname}"
    login = f"{environment.LOGIN} / {settings.secret('airflow_admin_password')}" if ui else None
    return Started(place, settings.landing, ui, login)


def down(settings: Settings) -> list[str]:
    """Stop Airflow's processes, then the embedded server; returns what ran."""
    stopped = services.stop(settings)
    if embedded.stop(settings):
        stopped.append("postgresql")
    return stopped


def status(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Sections of rows: processes, feeds, what is missing or refused, the latest builds, routing."""
    from parc import routing

    found: dict[str, list[dict[str, Any]]] = {
        "processes": [
            {"process": service.name, "pid": service.pid, "log": str(service.log)}
            for service in services.services(settings)
        ]
    }
    queries = {
        "feeds": """
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
        """,
        "refused lately": """
            select delivery_id, feed, business_date, reason
            from ops.delivery
            where status = 'refused'
            order by delivery_id desc
            limit 5
        """,
        "builds": """
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
        """,
    }
    with connect(settings, "reader") as connection:
        found["missing"] = _missing(connection)
        for section, query in queries.items():
            cursor = connection.execute(query.encode())
            names = [column.name for column in cursor.description or []]
            found[section] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    found["routing"] = [routing.status(settings).to_json()]
    return found


def _missing(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Deliveries that are due by the feed calendar and have not come: feed, business_date, due_at.

    Nothing before the first build, which makes the calendar known to the warehouse.
    """
    known = connection.execute("select to_regclass('intermediate.int_missing_deliveries')").fetchone()
    if not (known and known[0]):
        return []
    rows = connection.execute(
        "select feed, business_date, due_at from intermediate.int_missing_deliveries as missing "
        "where not exists (select from ops.delivery where status = 'refused' "
        "and delivery.feed = missing.feed and delivery.business_date = missing.business_date) order by 2, 1"
    )
    return [dict(zip(("feed", "business_date", "due_at"), row, strict=True)) for row in rows]


def doctor(settings: Settings) -> list[Check]:
    """Every check, in the order in which one would mend them."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("python", _python),
        ("disk", _disk),
        ("landing zone", _landing),
        ("warehouse", _warehouse),
        ("schema", _schema),
        ("pseudonym key", _pseudonym_key),
        ("airflow", _airflow),
        ("deliveries", _deliveries),
        ("marts", _marts),
        ("routing", _routing),
    ]
    found = []
    for name, check in checks:
        try:
            found.append(Check(name, True, check(settings)))
        except ParcError as error:
            found.append(Check(name, False, str(error)))
    return found


def _python(_: Settings) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise ConfigurationError(f"Python {version}: 3.11 to 3.13 is needed; make setup PYTHON=python3.11")
    return version


def _disk(settings: Settings) -> str:
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free
    if free < NEEDED_BYTES:
        raise ConfigurationError(
            f"{free / 1024**3:.1f} GiB free at {settings.home}: make room, or move PARC_HOME"
        )
    return f"{free / 1024**3:.0f} GiB free at {settings.home}"


def _landing(settings: Settings) -> str:
    try:
        filesystem, path = fsspec.core.url_to_fs(settings.landing)
        feeds = [entry.rstrip("/").rsplit("/", 1)[-1] for entry in filesystem.ls(path, detail=False)]
    except Exception as error:
        raise ConfigurationError(
            f"{settings.landing} cannot be listed ({error}); set PARC_LANDING to where deliveries arrive"
        ) from None
    return f"{settings.landing}: {', '.join(sorted(feeds)) or 'empty'}"


def _warehouse(settings: Settings) -> str:
    with connect(settings, "admin") as connection:
        info = connection.info
        return f"PostgreSQL {info.server_version // 10000} at {info.host}:{info.port}/{info.dbname}"


def _schema(settings: Settings) -> str:
    pending = pending_migrations(settings)
    if pending:
        raise ConfigurationError(f"{', '.join(pending)} not applied; `parc up --no-airflow` applies them")
    return "up to date"


def _pseudonym_key(settings: Settings) -> str:
    with connect(settings, "loader") as connection:
        check_key(connection, settings)
    return "that of the warehouse"


def _airflow(settings: Settings) -> str:
    gone = [service for service in services.services(settings) if service.pid is None]
    if gone:
        names = ", ".join(service.name for service in gone)
        raise ConfigurationError(f"not running: {names} (log: {gone[0].log}); `parc up` starts them")
    return services.address(settings)


def _deliveries(settings: Settings) -> str:
    with connect(settings, "reader") as connection:
        refused = connection.execute(
            """
            select latest.feed, latest.business_date, latest.reason
            from (
                select distinct on (feed, business_date) feed, business_date, status, reason
                from ops.delivery
                order by feed, business_date, delivery_id desc
            ) as latest
            where latest.status = 'refused'
            order by latest.business_date
            """
        ).fetchall()
        missing = _missing(connection)
    problems = [f"{feed} {day} was refused: {reason}" for feed, day, reason in refused]
    problems += [f"{row['feed']} {row['business_date']} is due and has not come" for row in missing]
    if problems:
        more = f"; and {len(problems) - TOLD} more (parc status)" if len(problems) > TOLD else ""
        raise ConfigurationError(
            f"{'; '.join(problems[-TOLD:])}{more}. Once it has come (again): parc ingest FEED --date DATE"
        )
    return "none refused, none missing"


def _marts(settings: Settings) -> str:
    with connect(settings, "reader") as connection:
        waiting = connection.execute(
            "select count(*) from ops.delivery where status = 'published' and built_in is null"
        ).fetchone()
        last = connection.execute(
            "select build_id, status, reason from ops.build order by build_id desc limit 1"
        ).fetchone()
    if last and last[1] in ("failed", "abandoned"):
        raise ConfigurationError(f"build {last[0]} {last[1]}: {last[2]}; `parc build` runs it again")
    if waiting and waiting[0]:
        raise ConfigurationError(f"{waiting[0]} published deliveries are not built; `parc build` builds them")
    return f"build {last[0]}" if last else "nothing to build yet"


def _routing(settings: Settings) -> str:
    from parc import routing

    if routing.status(settings).version is None:
        return "no release yet"
    verification = routing.verify(settings)
    if not verification.is_ok:
        raise ConfigurationError(verification.to_text())
    return verification.to_text()
