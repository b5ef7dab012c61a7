"""Airflow's simple auth manager, with the platform's users and roles."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.configuration import conf
from jwt import InvalidTokenError

from parc.host import users
from parc.settings import Settings

OF_AIRFLOW = {"viewer": "viewer", "engineer": "user", "approver": "viewer", "admin": "admin"}
"""Airflow's own role with the same rights, apart from answering approvals."""

ANSWER = ("approver", "admin")


class NamedUsers(SimpleAuthManager):
    """The names and roles of `parc.host.users`, as they were when the API server started."""

    @cached_property
    def roles(self) -> dict[str, str]:
        """Role by name."""
        return users.roles(Settings.from_env())

    def init(self) -> None:
        """Give the simple auth manager the users and their passwords: otherwise it makes some up."""
        settings = Settings.from_env()
        users.keep_logins(settings)
        listed = ",".join(f"{name}:{OF_AIRFLOW[role]}" for name, role in self.roles.items())
        conf.set("core", "simple_auth_manager_users", listed)
        conf.set("core", "simple_auth_manager_passwords_file", str(users.logins_file(settings)))
        super().init()

    def deserialize_user(self, token: dict[str, Any]) -> SimpleAuthManagerUser:
        """The user of a token. One who lost a role loses it here too, after the API server's next start."""
        role = self.roles.get(token["sub"])
        return SimpleAuthManagerUser(username=token["sub"], role=OF_AIRFLOW[role] if role else None)

    def get_fastapi_middlewares(self) -> list[tuple[Any, dict[str, Any]]]:
        """Also the one that explains an outage, and the one that gives the login cookie its name. They must
        be around Airflow's own, which reads the cookie and asks the database of each login; a plugin's
        middlewares are inside that."""
        from parc.ui.cookies import OwnCookie
        from parc.ui.outage import OutagePage

        found: list[tuple[Any, dict[str, Any]]] = [*super().get_fastapi_middlewares(), (OutagePage, {})]
        if port := urlsplit(conf.get("api", "base_url", fallback="")).port:
            found.append((OwnCookie, {"port": port, "is_own": self.has_signed}))
        return found

    async def has_signed(self, token: str) -> bool:
        """Whether this platform signed a login's token, which has not expired."""
        try:
            await self._get_token_validator().avalidated_claims(token)
        except InvalidTokenError:
            return False
        return True

    def is_authorized_dag(
        self,
        *,
        method: ResourceMethod,
        user: SimpleAuthManagerUser,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """Airflow's own decision, except that only approvers and admins answer approvals."""
        if access_entity is DagAccessEntity.HITL_DETAIL and method != "GET":
            return self.roles.get(user.username) in ANSWER
        return super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
