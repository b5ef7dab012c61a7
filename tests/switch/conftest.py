"""The small operator on a real Kamailio, with sites that answer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from parc.routing.steering import drafting
from parc.routing.switches import KAMAILIO, local
from parc.settings import OwnSwitch, Settings
from parc.warehouse import connect
from support.routing_world import fill
from support.sites import SITES, Sites, answering, empty


@pytest.fixture(scope="session")
def running(server: Settings) -> Iterator[Settings]:
    """The embedded server's own Kamailio."""
    if shutil.which("kamailio", path="/usr/sbin:/usr/bin") is None or shutil.which("sipp") is None:
        pytest.skip("kamailio or sipp is not installed")
    own_switch = OwnSwitch(ping_seconds="1", peers="127.0.0.1, 127.0.0.2")
    settings = replace(server, switch=KAMAILIO, own_switch=own_switch)
    local.start(settings)
    yield settings
    local.stop(settings)


@pytest.fixture
def world(warehouse: Settings, running: Settings, sites: Sites, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The small operator on an empty Kamailio."""
    monkeypatch.setattr(drafting, "utc_now", lambda: datetime(2012, 4, 25, 1, tzinfo=UTC))
    fill(warehouse)
    empty(running)
    with connect(warehouse, "transformer") as connection:
        for site_code, port in sites.addresses.items():
            connection.execute(
                "update marts.routing_sites set sip_address = %s where site_code = %s",
                [f"sip:{site_code.lower()}@127.0.0.1:{port}", site_code],
            )
    return replace(warehouse, switch=KAMAILIO, own_switch=running.own_switch)


@pytest.fixture
def sites() -> Iterator[Sites]:
    """Every site of the small operator, with somebody on the phone."""
    with answering(dict.fromkeys(SITES, 0)) as sites:
        yield sites
