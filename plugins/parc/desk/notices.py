"""What Airflow reported of runs that failed or are overdue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from parc.findings import Finding, FindingKind
from parc.ledger import notices
from parc.ledger.notices import Notice

MOST_NOTICES = 5
CAUSES = {
    FindingKind.BUILD_RUN_FAILED: {FindingKind.BUILD_FAILED},
    FindingKind.BUILD_RUN_OVERDUE: {FindingKind.BUILD_FAILED},
    FindingKind.RELEASE_RUN_FAILED: {
        FindingKind.DRIFT,
        FindingKind.HOLD,
        FindingKind.KILL_SWITCH,
        FindingKind.ROUTING_REFUSED,
        FindingKind.WAITING,
    },
    FindingKind.RELEASE_RUN_OVERDUE: {
        FindingKind.DRIFT,
        FindingKind.HOLD,
        FindingKind.KILL_SWITCH,
        FindingKind.APPROVAL,
    },
}
"""The kinds of findings that explain a notice: if one is found, the notice is left out."""


def findings(connection: psycopg.Connection[Any], found: Sequence[Finding]) -> list[Finding]:
    """The newest notices whose cause has not ended, without those whose cause is `found` already."""
    return [
        notice.finding
        for notice in notices.still_true(connection, MOST_NOTICES)
        if not any(_explains(finding, notice) for finding in found)
    ]


def _explains(finding: Finding, notice: Notice) -> bool:
    if notice.feed:
        return finding.subject.feed == notice.feed
    return finding.kind in CAUSES.get(notice.kind, ())
