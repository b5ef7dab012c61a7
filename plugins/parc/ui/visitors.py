"""What a request for a page brings: the platform's settings, who asks, what they may do, and whether a form
comes from a page of ours."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, HTTPException, Request

from parc.settings import Settings

Platform = Annotated[Settings, Depends(Settings.from_env)]


@dataclass(frozen=True)
class Visitor:
    """A user who is logged in to Airflow. Who may start runs may also answer findings; who may do that or
    answer approvals may ask where the calls of a number go."""

    name: str
    may_answer: bool
    may_approve: bool = False

    @property
    def may_explain(self) -> bool:
        """Whether they may have a number explained: engineers and approvers."""
        return self.may_answer or self.may_approve


def visitor(user: GetUserDep) -> Visitor:
    """Who asks, by Airflow's own login and rights."""
    rights = get_auth_manager()
    may_run = rights.is_authorized_dag(method="POST", access_entity=DagAccessEntity.RUN, user=user)
    may_approve = rights.is_authorized_dag(method="PUT", access_entity=DagAccessEntity.HITL_DETAIL, user=user)
    return Visitor(user.get_name(), may_run, may_approve)


SignedIn = Annotated[Visitor, Depends(visitor)]


def from_our_pages(request: Request) -> None:
    """Raises HTTPException (403) unless a browser says that this form is of the same origin.

    The login is a cookie, which a browser also sends with the forms of other sites, at least of other ports
    of this host. `Sec-Fetch-Site` cannot be forged by a page; browsers send it to https and to loopback, and
    `Origin` to all.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "")
    is_ours = site == "same-origin" if site else urlsplit(origin).netloc == request.headers.get("host", "-")
    if not is_ours:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "This form is from another site. Use the one on our own page."
        )
