"""Fixtures of the routing tests, on whichever switch they are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from parc import routing
from parc.routing import drafting
from parc.settings import Settings
from routing_world import QUIET, fill


@pytest.fixture
def world(warehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Filled inputs: Bretagne (53) goes live on 25 April 2012, Pays de la Loire (52) later, 04 is live."""
    monkeypatch.setattr(drafting, "utc_now", lambda: datetime(2012, 4, 25, 1, tzinfo=UTC))
    fill(warehouse)
    return warehouse


@pytest.fixture
def live(world: Settings) -> Settings:
    """The table of a quiet day is live."""
    routing.apply(world, QUIET, requested_by="night", reason="first table", bootstrap=True)
    return world
