"""Routing: from marts to the telephone switch, planned, guarded, activated atomically, reversible."""

from parc.routing.approval import Answer, Verdict, answer, answer_of_run, ask, check_approver
from parc.routing.drafting import plan, plan_emergency, plan_rollback
from parc.routing.drains import drain, end_drain
from parc.routing.explain import Explanation, explain
from parc.routing.oversight import Status, Verification, disable, enable, release_hold, status, verify
from parc.routing.planning import Plan
from parc.routing.release import (
    Outcome,
    apply,
    assign,
    emergency_national,
    forget_numbers,
    rollback,
    unassign,
)

__all__ = [
    "Answer",
    "Explanation",
    "Outcome",
    "Plan",
    "Status",
    "Verdict",
    "Verification",
    "answer",
    "answer_of_run",
    "apply",
    "ask",
    "assign",
    "check_approver",
    "disable",
    "drain",
    "emergency_national",
    "enable",
    "end_drain",
    "explain",
    "forget_numbers",
    "plan",
    "plan_emergency",
    "plan_rollback",
    "release_hold",
    "rollback",
    "status",
    "unassign",
    "verify",
]
