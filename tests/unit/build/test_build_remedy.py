"""The steps that fix a build, from its status and its failed nodes."""

from __future__ import annotations

import pytest

from parc.build.failures import FULL_REFRESH, REMEDIES, failed_by, remedy
from parc.build.nodes import Node
from parc.findings import BUILD
from parc.ledger.builds import BuildNode, FailedBy


def node(name: str, *delivery_ids: int, status: str = "error", is_out_of_step: bool = False) -> BuildNode:
    origins = [{"delivery_id": each} for each in delivery_ids]
    return BuildNode(name, "model", None, status, 0.1, None, None, None, origins, 1, is_out_of_step)


def commands(*nodes: BuildNode) -> list[str]:
    return [step.command or step.label for step in remedy("failed", nodes)]


def test_a_build_whose_process_ended_is_built_again() -> None:
    assert remedy("abandoned", []) == (BUILD,)


def test_the_deliveries_that_broke_it_can_be_withdrawn() -> None:
    assert commands() == ["correct the data or the model", "parc build"]
    nodes = [node("a", 9, 7), node("b", 7), node("c", 1, status="skipped")]
    assert commands(*nodes) == [
        "parc withdraw 7 --reason TEXT",
        "parc withdraw 9 --reason TEXT",
        "correct the model",
        "parc build",
    ]
    assert [step.is_alternative for step in remedy("failed", nodes)] == [False, True, True, False]


def test_a_table_with_other_columns_than_its_model_needs_a_full_refresh() -> None:
    out_of_step = node("a", is_out_of_step=True)
    assert remedy("failed", [out_of_step]) == (FULL_REFRESH,)
    assert commands(out_of_step, node("b", 7)) == [
        "parc withdraw 7 --reason TEXT",
        "correct the model",
        "parc build --full-refresh",
    ]


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (
            'could not extend file "base/5/16": No space left on device\nHINT: Check free disk space.',
            "disk full",
        ),
        ("server closed the connection unexpectedly", "connection lost"),
        ('column "market" does not exist', None),
    ],
)
def test_what_the_machine_broke_is_no_fault_of_the_model(message: str, cause: FailedBy | None) -> None:
    found = failed_by([Node("a", "model", None, "error", 0.1, None, message, 1, "", "a.sql")])
    assert found == cause
    steps = remedy("failed", [node("a", 7)], found)
    assert steps == REMEDIES[cause] if cause else steps[0].command == "parc withdraw 7 --reason TEXT"
