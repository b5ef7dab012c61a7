"""Routing: from marts to the telephone switch, planned, guarded, activated atomically, reversible."""

from parc.routing.plans.plan import Plan
from parc.routing.steering.approval import Answer, Verdict, answer, answer_of_run, ask, check_approver
from parc.routing.steering.drafting import plan, plan_emergency, plan_rollback
from parc.routing.steering.drains import drain, end_drain
from parc.routing.steering.explain import Explanation, explain
from parc.routing.steering.oversight import (
    Status,
    Verification,
    disable,
    enable,
    release_hold,
    status,
    verify,
)
from parc.routing.steering.release import (
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
