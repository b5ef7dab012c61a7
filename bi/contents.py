"""What Superset holds: its tables, logins, rights and assets.

`python bi/contents.py [FOLDER]` writes what the administrator published to `bi/assets`, or to the folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import asset_files
import flask_migrate
import superset
import yaml
from superset.app import create_app
from superset.extensions import appbuilder, db, security_manager
from superset.utils.core import override_user
from superset_config import HOME, PLATFORM

ADMIN = "admin"
BESIDE = ("asset_files.py", "contents.py", "requirements.lock")
"""Files of this folder on which tables and rights depend."""


def prepare() -> None:
    """Bring tables, rights and logins up to date; import the files if they are not those imported last."""
    _once("prepared", _version(), _make_tables)
    for name, login in PLATFORM["logins"].items():
        _ensure_login(name, **login)
    db.session.commit()
    files = asset_files.read()
    _once("imported", asset_files.digest(files), lambda: _replace_assets(files))


def export() -> dict[str, str]:
    """The dashboards that the administrator published, the charts on them, the administrator's datasets and
    the database, as files."""
    with override_user(security_manager.find_user(username=ADMIN)):
        return _export()


def _export() -> dict[str, str]:
    from superset.commands.chart.export import ExportChartsCommand
    from superset.commands.dashboard.export import ExportDashboardsCommand
    from superset.commands.database.export import ExportDatabasesCommand
    from superset.commands.dataset.export import ExportDatasetsCommand
    from superset.connectors.sqla.models import SqlaTable
    from superset.models.core import Database

    dashboards = _published()
    charts = {chart.uuid: chart for dashboard in dashboards for chart in dashboard.slices}
    owned = [each for each in db.session.query(SqlaTable) if _is_admins(each)]
    found: dict[str, str] = {}

    def add(kind: str, name: str, model: Any, command: Any) -> None:
        document = asset_files.tidied(kind, yaml.load(command._file_content(model), yaml.CSafeLoader))
        path = f"{kind}/{asset_files.file_name(name)}.yaml"
        if path in found:
            raise SystemExit(f"two {kind} are named {name}: give one of them another name")
        found[path] = asset_files.text(document)

    for database in db.session.query(Database):
        add("databases", database.database_name, database, ExportDatabasesCommand)
    for dataset in owned:
        add("datasets", dataset.table_name, dataset, ExportDatasetsCommand)
    for chart in charts.values():
        add("charts", chart.slice_name, chart, ExportChartsCommand)
    for dashboard in dashboards:
        add("dashboards", dashboard.dashboard_title, dashboard, ExportDashboardsCommand)
    return found


def main() -> None:
    """Write the files to `bi/assets`, or to the folder that is named, and say which changed."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else asset_files.ASSETS
    with create_app().app_context():
        files = export()
    changed = asset_files.write(files, folder)
    if folder == asset_files.ASSETS:
        (HOME / "imported").write_text(asset_files.digest(files))
    print("\n".join(changed) or "no file changed")


def _once(name: str, version: str, do: Callable[[], None]) -> None:
    """Do something unless it was done for this version."""
    mark = HOME / name
    if mark.exists() and mark.read_text() == version:
        return
    do()
    mark.write_text(version)


def _version() -> str:
    """Of the packages, of this code, and of the warehouse's logins."""
    here = Path(__file__).parent
    parts = [(here / name).read_text() for name in BESIDE] + [json.dumps(PLATFORM["warehouse_logins"])]
    return sha256("\0".join(parts).encode()).hexdigest()


def _make_tables() -> None:
    flask_migrate.upgrade(str(Path(superset.__file__).parent / "migrations"))
    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()


def _ensure_login(name: str, password: str, title: str, roles: list[str]) -> None:
    """Make a user unless there is one; a password that was changed since is kept."""
    if security_manager.find_user(username=name) is None:
        given = [security_manager.find_role(role) or security_manager.add_role(role) for role in roles]
        security_manager.add_user(name, "PARC", title, f"{name}@parc.invalid", given, password=password)


def _replace_assets(files: dict[str, str]) -> None:
    """Import the files. What they replace is kept in the folder `replaced`."""
    from superset.commands.importers.v1.assets import ImportAssetsCommand

    before = export()
    if before:
        asset_files.write(before, HOME / "replaced")
    with override_user(security_manager.find_user(username=ADMIN)):
        ImportAssetsCommand(asset_files.importable(files)).run()
    named = {yaml.load(content, yaml.CSafeLoader).get("uuid") for content in files.values()}
    for dashboard in _published():
        if str(dashboard.uuid) not in named:
            dashboard.published = False
    _give_rights()
    db.session.commit()


def _give_rights() -> None:
    """The national login reads every dataset, a directorate's those that its schema has."""
    from superset.connectors.sqla.models import SqlaTable

    datasets = [each for each in db.session.query(SqlaTable) if _is_admins(each)]
    for name in PLATFORM["warehouse_logins"]:
        role = security_manager.find_role(name)
        role.permissions = [
            security_manager.add_permission_view_menu("datasource_access", dataset.get_perm())
            for dataset in datasets
            if name == PLATFORM["national"] or json.loads(dataset.extra or "{}").get("is_for_directorates")
        ]


def _published() -> list[Any]:
    from superset.models.dashboard import Dashboard

    found = [each for each in db.session.query(Dashboard) if each.published and _is_admins(each)]
    return sorted(found, key=lambda dashboard: str(dashboard.uuid))


def _is_admins(model: Any) -> bool:
    return any(owner.username == ADMIN for owner in model.owners)


if __name__ == "__main__":
    main()
