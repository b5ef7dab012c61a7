"""`parc up` and the supervisor it leaves running, on a platform whose processes are killed."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from parc import desk, routing
from parc.errors import ConfigurationError
from parc.findings import Finding, FindingKind
from parc.host import programs, supervision
from parc.host.processes import Program
from parc.host.supervision import Restart
from parc.instants import shown
from parc.machine import processes
from parc.platform import doctor, start, status
from parc.routing.switches import KAMAILIO
from parc.settings import Settings
from parc.warehouse import connect, embedded
from parc.warehouse.connections import parameters
from support.printed import run, run_printed
from support.receivers import Webhook, webhook

MOST_SECONDS = 90


@pytest.fixture(scope="module")
def inbox() -> Iterator[Webhook]:
    """Where the platform sends its notices."""
    with webhook() as hook:
        yield hook


@pytest.fixture(scope="module")
def platform(inbox: Webhook) -> Iterator[Settings]:
    """A platform of its own, without Airflow; with a Kamailio where that is installed."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="parc-test-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        switch = KAMAILIO if shutil.which("kamailio", path="/usr/sbin") else str(home / "switch")
        settings = Settings(home=home, landing=str(home / "landing"), switch=switch)
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("PARC_NOTICE_URLS", f"json://127.0.0.1:{inbox.port}/good")
        start.up(settings, with_airflow=False)
        yield settings
        start.down(settings)
        assert not any(program.process for program in both(settings))


def both(settings: Settings) -> list[Program]:
    return [programs.postgresql(settings), programs.supervisor(settings)]


def kill(program: Program) -> int:
    process = program.process
    assert process
    process.kill()
    with suppress(psutil.TimeoutExpired):
        process.wait(10)
    return process.pid


def until(holds: Callable[[], object]) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < MOST_SECONDS
        time.sleep(0.1)
    return time.monotonic() - began


def answers(settings: Settings) -> bool:
    with suppress(ConfigurationError, psycopg.Error), connect(settings, "reader") as connection:
        return connection.execute("select 1").fetchone() == (1,)
    return False


def restarts(settings: Settings) -> int:
    """How often PostgreSQL was started again."""
    record = supervision.read(supervision.record_file(settings))
    return len([each for each in record.restarts if each.name == "postgresql"])


def unfinished(settings: Settings) -> Restart:
    """The end of PostgreSQL that is not mended yet."""
    found = supervision.read(supervision.record_file(settings)).unfinished("postgresql")
    assert found
    return found


def can_be_read(settings: Settings) -> bool:
    """Whether the switch answers."""
    with suppress(ConfigurationError):
        return routing.status(settings).drift is None
    return False


def process_findings(settings: Settings) -> list[Finding]:
    return processes.findings(settings)


def test_postgresql_killed_in_the_middle_of_work_is_back_within_seconds(platform: Settings) -> None:
    """The session that worked when the server was killed is ended too: it would keep the new server out."""
    server = programs.postgresql(platform)
    before = restarts(platform)
    port = embedded.address(platform)
    with closing(psycopg.connect(**parameters(platform, "reader"), autocommit=True)) as connection:
        connection.execute("set statement_timeout = 0")
        connection.pgconn.send_query(b"select count(*) from generate_series(1, 1000000000)")
        pid = kill(server)
        seconds = until(lambda: server.pid not in (None, pid) and answers(platform))
    print(f"\nPostgreSQL is back {seconds:.1f} s after it was killed")
    assert embedded.address(platform) == port
    until(lambda: restarts(platform) == before + 1)
    until(lambda: desk.findings(platform) == [])  # it runs again: a line of history, no finding
    *_, told = [each for each in status.overview(platform).restarts if each["process"] == "postgresql"]
    assert told["restarted_at"] >= told["ended_at"]


def test_what_cannot_be_started_is_told_with_the_reason_until_it_runs(
    platform: Settings, inbox: Webhook
) -> None:
    control = platform.home / "postgres" / "data" / "global" / "pg_control"
    away = control.with_name("pg_control.away")
    configuration = control.parents[1].resolve() / "postgresql.conf"
    sound = configuration.read_text()
    kill(programs.postgresql(platform))
    control.rename(away)
    try:
        until(lambda: any("failed" in finding.text for finding in process_findings(platform)))
        [finding] = process_findings(platform)
        assert finding.subject.name == "postgresql" and "pg_control" in finding.text
        log, start = finding.steps
        assert start.command == "parc up --no-airflow", "no Airflow was started here"
        assert "pg_control" in run(platform, log.command).stdout
        told = {check.name: check for check in doctor.checks(platform)}
        assert "is not running" in told["warehouse"].text and "pg_control" in told["airflow"].text
        seconds = until(lambda: inbox.received)
        print(f"\nthe notice came {seconds:.1f} s later")
        [title] = inbox.titles
        told_at = shown(unfinished(platform).ended_at)
        assert title == f"postgresql: its process ended at {told_at} and cannot be started again"
        assert "pg_control" in inbox.received[0]["message"]
        # A start by hand that fails ends nothing, and says which line of the configuration is wrong.
        ended = unfinished(platform)
        configuration.write_text(f"{sound}shared_bufers = '128MB'\n")
        done = run(platform, start.command)
        cause = f'LOG: unrecognized configuration parameter "shared_bufers" in file "{configuration}" line '
        assert done.returncode == 3 and cause in " ".join(done.stderr.split())
        assert "tail -n 20" in done.stderr
        until(lambda: any(cause in finding.text for finding in process_findings(platform)))
        [finding] = process_findings(platform)
        assert "contains errors" in finding.text and "GMT" not in finding.text
        assert unfinished(platform).ended_at == ended.ended_at
        with pytest.raises(ConfigurationError) as stop:
            embedded.address(platform)
        assert cause in stop.value.text and stop.value.steps == finding.steps
    finally:
        configuration.write_text(sound)
        away.rename(control)
    seconds = until(lambda: answers(platform))
    print(f"\nPostgreSQL is back {seconds:.1f} s after what kept it down was mended")
    until(lambda: not process_findings(platform))
    until(lambda: all(each.restarted_at for each in supervision.last(platform)))
    until(lambda: len(inbox.received) == 2)
    assert inbox.titles[1] == f"mended: {title}"


def test_the_switch_is_back_too(platform: Settings) -> None:
    if not platform.has_own_switch:
        pytest.skip("kamailio is not installed")
    switch = programs.kamailio(platform)
    pid = kill(switch)
    seconds = until(lambda: switch.pid not in (None, pid) and can_be_read(platform))
    print(f"\nthe switch is back {seconds:.1f} s after it was killed")


def test_the_supervisor_is_light(platform: Settings) -> None:
    process = programs.supervisor(platform).process
    assert process
    megabytes = process.memory_full_info().pss / 2**20
    print(f"\nthe supervisor takes {megabytes:.1f} MB")
    assert megabytes < 40


@pytest.mark.parametrize("dead", [("supervisor",), ("postgresql", "supervisor")], ids="-".join)
def test_up_mends_what_is_dead(platform: Settings, dead: tuple[str, ...]) -> None:
    by_name = {program.name: program for program in both(platform)}
    alive = {name: program.pid for name, program in by_name.items() if name not in dead}
    for name in reversed(dead):  # the supervisor first: it would start the other again
        kill(by_name[name])
    assert {finding.subject.name for finding in process_findings(platform)} == set(dead)
    found = process_findings(platform)
    run_printed(platform, FindingKind.PROCESS, found=[each for each in found if each.subject.name == dead[0]])
    assert answers(platform) and process_findings(platform) == []
    assert all(by_name[name].pid == pid for name, pid in alive.items())


def test_what_is_stopped_stays_stopped(platform: Settings) -> None:
    switch = ["kamailio"] if platform.has_own_switch else []
    assert start.down(platform) == ["supervisor", *switch, "postgresql"]
    assert not any(program.process for program in both(platform)) and process_findings(platform) == []
    assert start.down(platform) == []
    with pytest.raises(ConfigurationError, match="is not running"):
        embedded.address(platform)
    found = [check.finding for check in doctor.checks(platform) if check.finding]
    run_printed(platform, FindingKind.WAREHOUSE, found=found)
    assert answers(platform)


def test_the_switch_is_mended_too(platform: Settings) -> None:
    if not platform.has_own_switch:
        pytest.skip("kamailio is not installed")
    kill(programs.supervisor(platform))  # it would start the other again
    kill(programs.kamailio(platform))
    run_printed(platform, FindingKind.SWITCH_PROCESS, found=process_findings(platform))
    assert process_findings(platform) == []


def test_a_server_that_is_still_recovering_is_stopped_too(open_folder: Path) -> None:
    settings = Settings(home=open_folder / "home", landing="", switch="")
    embedded.start(settings)
    server = programs.postgresql(settings)
    kill(server)
    port = (settings.home / "postgres" / "port").read_text()
    binary = embedded._binaries(settings, settings.home / "postgres") / "postgres"
    data = settings.home / "postgres" / "data"
    server.start(
        [str(binary), "-D", str(data), "-p", port], data.parent, embedded.ENVIRONMENT, **embedded.identity()
    )
    until(lambda: programs.postgresql(settings).process)
    assert embedded.stop(settings)
    assert programs.postgresql(settings).process is None
