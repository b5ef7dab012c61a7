"""Faults of a switch during a release: the old table stays live, and the error says why."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Literal

import polars as pl
import psutil
import psycopg
import pytest

from parc import routing
from parc.errors import Busy, ConfigurationError, ParcError, RoutingRefused
from parc.host import programs
from parc.routing.switches import Release, local, open_switch, readable
from parc.routing.switches.binrpc import Rpc
from parc.routing.switches.kamailio import KamailioSwitch
from parc.routing.switches.memory import EXCEPTION_BYTES
from parc.routing.table.content import Content
from parc.settings import Settings
from parc.warehouse import connect
from support.routing_world import EVE, go_live, rows
from support.sites import CALLER, Sites, place_calls, route_of

# Ends itself after so many exchanges with the switch: before, in and after every step of a release.
KILLED = """
import os, signal, sys
from datetime import date
from parc import routing
from parc.routing.switches.binrpc import Rpc
from parc.settings import Settings
exchange, left = Rpc._exchange, int(sys.argv[2])
def counted(self, calls, seconds):
    global left
    answers = exchange(self, calls, seconds)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return answers
Rpc._exchange = counted
routing.apply(
    Settings.from_env(), date(2012, 4, 24), requested_by="n", reason="n",
    approve=sys.argv[1], approved_by="Anne",
)
print(left)
"""


def run_killed(settings: Settings, approved: str, exchanges: int) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PARC_HOME": str(settings.home),
        "PARC_SWITCH": settings.switch,
        "PARC_LANDING": settings.landing,
        "PARC_WAREHOUSE_DSN": str(settings.warehouse_dsn),
    }
    return subprocess.run(
        [sys.executable, "-c", KILLED, approved, str(exchanges)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def as_kamailio(settings: Settings) -> str:
    return psycopg.conninfo.make_conninfo(
        local.database(settings), user=local.READER, password=settings.secret(f"{local.READER}_password")
    )


def old_table_is_live(settings: Settings) -> bool:
    return {site for _, site, _ in route_of(settings).sites} == {"LYON", "LYON_2", "TUNIS"}


def test_the_switch_database_is_down(live: Settings, sites: Sites, tmp_path: Path) -> None:
    """No release; calls continue from the switch's memory."""
    without = replace(live, switch_dsn="postgresql://switch@127.0.0.1:1/switch")
    with pytest.raises(ConfigurationError, match="the switch's database does not answer"):
        go_live(without)
    place_calls(tmp_path, local.calls_port(live), [CALLER], 5)
    assert old_table_is_live(live) and routing.verify(live).is_ok


def test_the_switch_is_down(live: Settings) -> None:
    local.stop(live)
    with pytest.raises(ConfigurationError, match="does not answer(.|\\n)*: parc up"):
        go_live(live)
    with pytest.raises(ConfigurationError, match="does not answer"):
        routing.verify(live)
    local.start(live)
    assert old_table_is_live(live) and routing.verify(live).is_ok


def test_a_socket_at_another_path(live: Settings) -> None:
    elsewhere = replace(live, switch="kamailio:/nowhere", switch_dsn=local.database(live))
    with pytest.raises(ConfigurationError, match="/nowhere/rpc.sock does not answer"):
        routing.plan(elsewhere, EVE)


def test_killed_in_the_middle_of_a_release(live: Settings) -> None:
    """Killed by the system near the flip; the next run settles what it left. `make soak`: at every step."""
    killed_after(live, exchanges_of_a_release(live) * 4 // 5)


@pytest.mark.soak
def test_killed_after_every_single_exchange_of_a_release(live: Settings) -> None:
    count = exchanges_of_a_release(live)
    for exchanges in range(1, count + 1):
        killed_after(live, exchanges)
        back(live)
    print(f"killed after each of {count} exchanges: every one settled by the next run")


def back(settings: Settings) -> None:
    """To the table of before, whatever is live and whoever holds."""
    if not old_table_is_live(settings):
        routing.rollback(settings, requested_by="Anne", reason="once more")
    if routing.status(settings).hold:
        routing.release_hold(settings, released_by="Anne", reason="once more")
    assert old_table_is_live(settings) and routing.verify(settings).is_ok


def exchanges_of_a_release(settings: Settings) -> int:
    """How often an undisturbed release speaks with the switch; it is taken back."""
    done = run_killed(settings, routing.plan(settings, EVE).plan_hash, sys.maxsize)
    assert done.returncode == 0, done.stderr
    back(settings)
    return sys.maxsize - int(done.stdout.split()[-1])


def killed_after(settings: Settings, exchanges: int) -> None:
    approved = routing.plan(settings, EVE).plan_hash
    done = run_killed(settings, approved, exchanges)
    assert done.returncode == -signal.SIGKILL, done.stderr
    sites = {site for _, site, _ in route_of(settings).sites}
    assert sites in ({"LYON", "LYON_2", "TUNIS"}, {"RENNES", "RENNES_2", "TUNIS"})
    try:
        routing.apply(settings, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")
    except RoutingRefused as error:
        assert "held by" in str(error) or "the plan is now" in str(error), error
    assert routing.verify(settings).is_ok and routing.status(settings).unfinished is None


BAD_ROWS = [
    ("insert into {s}.prefixes values ('0299', null)", psycopg.errors.NotNullViolation),
    ("insert into {s}.prefixes values ('0299', '')", psycopg.errors.CheckViolation),
    ("insert into {s}.prefixes values ('02x', '53')", psycopg.errors.CheckViolation),
    ("insert into {s}.prefixes values ('0298','53'), ('0298','52')", psycopg.errors.UniqueViolation),
    ("insert into {s}.exceptions values ('0299000000', '53')", psycopg.errors.CheckViolation),
    (
        "insert into {s}.routes values ('53', 'fixe', 'open', 9, 'T', 0)",
        psycopg.errors.CheckViolation,
    ),
    (
        "insert into {s}.routes values ('53', 'fixe', 'ajar', 9, 'T', 1)",
        psycopg.errors.CheckViolation,
    ),
    ("insert into {s}.sites values ('X', 'tel:1')", psycopg.errors.CheckViolation),
    ("insert into {s}.windows values ('53', now(), now())", psycopg.errors.CheckViolation),
]


def test_tables_refuse_rows_that_the_switch_would_load_silently(running: Settings) -> None:
    for statement, error in BAD_ROWS:
        with psycopg.connect(local.database(running)) as database, pytest.raises(error):
            database.execute(statement.format(s="slot_b").encode())


@pytest.mark.parametrize("method", ["htable.reload", "mtree.reload", "htable.sets"])
def test_a_switch_that_only_claims_success_is_detected(
    live: Settings, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    call = Rpc.call

    def lying(self: Rpc, name: str, *params: str | int, seconds: float = 10) -> object:
        return "Ok" if name == method else call(self, name, *params, seconds=seconds)

    with monkeypatch.context() as patch:
        patch.setattr(Rpc, "call", lying)
        with pytest.raises(RoutingRefused, match="does not verify|did not flip|did not take"):
            go_live(live)
    assert old_table_is_live(live) and routing.verify(live).is_ok


def test_a_switch_that_refuses_to_load_a_table(live: Settings) -> None:
    """Its role may no longer read the idle slot, so the reload fails with an error."""
    idle = "b" if route_of(live).slot == "a" else "a"
    with psycopg.connect(local.database(live), autocommit=True) as database:
        database.execute(f"revoke select on switch.rt_{idle} from {local.READER}".encode())
        try:
            with pytest.raises(RoutingRefused, match="could not be staged.*the switch refused htable.reload"):
                go_live(live)
        finally:
            database.execute(f"grant select on switch.rt_{idle} to {local.READER}".encode())
    assert old_table_is_live(live) and routing.verify(live).is_ok
    assert go_live(live).status == "released"


def test_a_socket_without_listener(live: Settings, tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as left_behind:
        left_behind.bind(str(tmp_path / "rpc.sock"))
    with pytest.raises(ConfigurationError, match="rpc.sock does not answer .*refused"):
        go_live(replace(live, switch=f"kamailio:{tmp_path}", switch_dsn=local.database(live)))
    assert old_table_is_live(live)


@pytest.mark.soak
def test_a_switch_that_hangs(live: Settings) -> None:
    """Suspended in the middle of a release, it does not answer; once resumed, the next run settles it."""
    processes = [psutil.Process(programs.kamailio(live).pid)]
    processes += processes[0].children(recursive=True)
    for process in processes:
        process.suspend()
    try:
        with pytest.raises(ConfigurationError, match="did not answer .* within 10 s"):
            go_live(live)
    finally:
        for process in processes:
            process.resume()
    assert old_table_is_live(live) and routing.verify(live).is_ok
    assert go_live(live).status == "released"


def test_concurrent_releases_wait_and_a_lost_lock_prevents_the_flip(
    live: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first stages, a second is refused as busy; its session cut, the second goes through alone."""
    real = KamailioSwitch.stage
    approved = routing.plan(live, EVE).plan_hash

    def release(who: str) -> routing.ReleaseResult:
        return routing.apply(
            live, EVE, requested_by=who, reason="r", approve=approved, approved_by=who.upper()
        )

    def overtaken(self: KamailioSwitch, staged: Release) -> None:
        monkeypatch.setattr(KamailioSwitch, "stage", real)
        real(self, staged)
        with pytest.raises(Busy, match="another routing release is running"):
            release("b")
        with connect(live, "admin", autocommit=True) as connection:
            connection.execute("select pg_terminate_backend(pid) from ops.lock where pid is not null")
        assert release("b").status == "released"

    monkeypatch.setattr(KamailioSwitch, "stage", overtaken)
    with pytest.raises((ParcError, psycopg.OperationalError)):
        release("a")
    assert rows(
        live,
        "select approved_by from ops.routing_release inner join ops.routing_release_event "
        "using (release_id) where event = 'activated' order by event_id desc limit 1",
    ) == [("B",)]
    assert not old_table_is_live(live) and routing.verify(live).is_ok


def test_too_little_shared_memory_is_reported_before_loading(live: Settings) -> None:
    """More numbers than the running switch has room for: loading them would lose calls."""
    free = int(Rpc(local.socket(live)).call("core.shmmem", "m")["free"]) << 20
    held = readable(open_switch(live).read_live())
    numbers = pl.int_range(free // EXCEPTION_BYTES + 100_000, dtype=pl.Int64) + 100_000_000
    many = pl.select(number=pl.lit("+33") + numbers.cast(pl.String), zone_code=pl.lit("53"))
    with pytest.raises(RoutingRefused, match="MB of shared memory left.*PARC_SWITCH_MEMORY_MB"):
        open_switch(live).stage(Release("much", Content.of({**held.frames, "exceptions": many}), {}))
    assert old_table_is_live(live) and routing.verify(live).is_ok


def test_an_older_release_does_not_flip_over_a_newer_one(live: Settings) -> None:
    version = go_live(live).version
    with pytest.raises(RoutingRefused, match="another release"):
        open_switch(live).activate(version or "", 0)


def test_only_the_platform_controls_the_switch_and_its_tables(live: Settings) -> None:
    assert Path(local.socket(live)).stat().st_mode & 0o777 == 0o600
    with psycopg.connect(as_kamailio(live), autocommit=True) as database:
        assert database.execute("select count(*) from switch.rt_a").fetchone()
        for statement in (
            "update switch.control set active = 'a'",
            "delete from switch.control",
            "insert into slot_a.prefixes values ('0299', '53')",
            "select * from slot_a.exceptions",
            "create table switch.mine ()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                database.execute(statement.encode())
    process = psutil.Process(programs.kamailio(live).pid)
    addresses = {
        connection.laddr.ip
        for each in (process, *process.children(recursive=True))
        for connection in each.net_connections("inet")
    }
    assert addresses == {"127.0.0.1"}


@pytest.mark.parametrize("drift", ["adopt", "overwrite"])
def test_drift_is_accepted_either_way_and_audited(
    live: Settings, drift: Literal["adopt", "overwrite"]
) -> None:
    """Somebody changed a weight on the switch, in its table and in its memory."""
    go_live(live)
    slot = route_of(live).slot
    with psycopg.connect(local.database(live), autocommit=True) as database:
        database.execute(f"update slot_{slot}.routes set weight = 50 where site_code = 'RENNES'".encode())
    Rpc(local.socket(live)).call("htable.reload", f"rt_{slot}")
    assert not routing.verify(live).is_ok
    plan = routing.plan(live, EVE)
    assert plan.verdict == "blocked" and plan.diffs["routes"].row_count == 2
    routing.apply(
        live,
        EVE,
        requested_by="Anne",
        reason="as it should be",
        drift=drift,
        approve=plan.plan_hash,
        approved_by="Anne",
    )
    assert (1, "RENNES", 50 if drift == "adopt" else 60) in route_of(live).sites
    assert routing.verify(live).is_ok
    assert (drift, "Anne", "as it should be") in rows(
        live, "select action, accepted_by, reason from ops.routing_drift"
    )
    assert (routing.plan(live, EVE).verdict == "nothing to do") == (drift == "overwrite")
