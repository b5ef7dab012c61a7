"""The oldest PostgreSQL that is supported, where Debian has installed it: load, build, plan."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from parc import routing
from parc.build import build
from parc.loading import ingest
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect, embedded, migrate

BINARIES = Path("/usr/lib/postgresql/15/bin")
DAY = date(2012, 4, 24)


@pytest.fixture
def old_server(open_folder: Path) -> Iterator[Settings]:
    if not (BINARIES / "postgres").exists():
        pytest.skip(f"PostgreSQL 15 is not installed in {BINARIES}")
    home = open_folder / "home"
    settings = Settings(
        home=home, landing=str(home / "landing"), switch=str(home / "switch"), pg_bin=BINARIES
    )
    embedded.start(settings)
    yield settings
    embedded.stop(settings)


def test_load_build_and_plan(old_server: Settings) -> None:
    migrate(old_server)
    with connect(old_server, "reader") as connection:
        assert connection.info.server_version // 10000 == 15
    simulate(DAY, DAY, scale=0.003, seed=3, out=old_server.landing)
    for feed in ("numbering_plan", "line_assignments", "active_lines", "calls"):
        assert ingest(old_server, feed, DAY).status == "published"
    build(old_server)
    with connect(old_server, "bi_reader") as connection:
        row = connection.execute("select sum(offered_count) from marts.mart_service_quality_daily").fetchone()
    assert row and row[0] > 200
    with connect(old_server, "admin") as connection:
        kinds = connection.execute(
            "select distinct contype::text from pg_constraint "
            "where conrelid in ('marts.dim_region'::regclass, 'marts.mart_service_quality_daily'::regclass)"
        ).fetchall()
    assert ("p",) in kinds and ("f",) not in kinds, "it has no foreign keys that are not enforced"
    plan = routing.plan(old_server, DAY, bootstrap=True)
    assert plan.verdict == "ready"
    assert routing.apply(old_server, DAY, requested_by="test", reason="test", bootstrap=True).version
    assert routing.verify(old_server).is_ok
