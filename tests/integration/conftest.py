"""Fixtures of the routing tests, on whichever switch they are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from parc.routing.steering import drafting
from parc.settings import Settings
from support.routing_world import fill


@pytest.fixture
def world(warehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Filled inputs: Bretagne (53) goes live on 25 April 2012, Pays de la Loire (52) later, 04 is live."""
    monkeypatch.setattr(drafting, "utc_now", lambda: datetime(2012, 4, 25, 1, tzinfo=UTC))
    fill(warehouse)
    return warehouse
