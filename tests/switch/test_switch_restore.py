"""The warehouse comes back beside a real Kamailio, which goes on with its table."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from parc.host import programs
from parc.pseudonyms import Pseudonyms
from parc.routing.switches import KAMAILIO, local, open_switch
from parc.routing.switches.memory import Memory
from support.backups import Operator, operating

FIRST = date(2012, 4, 23)
SECOND = FIRST + timedelta(days=1)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A platform with a Kamailio of its own, and a backup between two releases."""
    if shutil.which("kamailio", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("kamailio is not installed")
    with operating(tmp_path_factory.mktemp("operator"), FIRST, SECOND, KAMAILIO) as operator:
        operator.night(FIRST)
        operator.parc("backup")
        operator.record()
        operator.night(SECOND)
        operator.record()
        yield operator


def in_memory(operator: Operator) -> str | None:
    """The version by which calls go."""
    memory = Memory(local.socket(operator.settings))
    slot = memory.active()
    return memory.version(slot) if slot else None


def test_a_running_switch_keeps_its_table_and_its_database(operator: Operator) -> None:
    first, second = operator.states
    assert first.version != second.version == in_memory(operator)
    running = programs.kamailio(operator.settings).pid
    said = operator.parc("restore", "--to", first.moment.isoformat(), "--replace", "--yes", "--by", "Anne")
    assert f"{first.version} is expected, the switch has {second.version} active" in said
    assert programs.kamailio(operator.settings).pid == running and in_memory(operator) == second.version
    operator.parc("up", "--no-airflow")
    verified = operator.parc("routing", "verify", codes=(6,))
    assert f"{first.version} is expected, the switch has {second.version} active" in verified
    operator.parc("restore", "--latest", "--replace", "--yes", "--by", "Anne")
    assert programs.kamailio(operator.settings).pid == running and in_memory(operator) == second.version
    operator.parc("up", "--no-airflow")
    assert programs.kamailio(operator.settings).pid == running
    assert f"{second.version} is live and complete" in operator.parc("routing", "verify")
    operator.parc("backup")


def test_a_lost_switch_has_the_table_of_the_backup_without_who_was_forgotten(operator: Operator) -> None:
    second = operator.states[1]
    live = open_switch(operator.settings).read_live()
    assert live and live.content
    number = live.content.frames["exceptions"]["number"][0]
    operator.parc("forget", "--number", number, "--yes", "--by", "Anne")
    forgotten_in = in_memory(operator)
    assert forgotten_in != second.version
    operator.destroy()
    said = operator.parc("restore", "--latest", "--yes", "--by", "Anne")
    assert "routing is disabled" in said
    operator.parc("up", "--no-airflow")
    assert in_memory(operator) == second.version, "the table of the newest backup"
    after = open_switch(operator.settings).read_live()
    assert after and after.content
    known = Pseudonyms.of_settings(operator.settings)
    assert known.of(number) not in map(known.of, after.content.frames["exceptions"]["number"])
    verified = operator.parc("routing", "verify", codes=(6,))
    assert f"{forgotten_in} is expected, the switch has {second.version} active" in verified
    operator.parc("routing", "enable", "--by", "Anne", "--reason", "read")
    done = operator.parc("routing", "apply", "--date", str(SECOND), "--drift", "adopt", "--by", "Anne")
    assert "recorded as" in done
    assert "is live and complete" in operator.parc("routing", "verify")
