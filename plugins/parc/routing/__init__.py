"""Routing: from marts to the telephone switch, planned, guarded, activated atomically, reversible."""

from parc.routing.drafting import plan, plan_emergency, plan_rollback
from parc.routing.explain import Explanation, explain
from parc.routing.oversight import Status, Verification, disable, enable, release_hold, status, verify
from parc.routing.planning import Plan
from parc.routing.release import Outcome, apply, emergency_national, rollback

__all__ = [
    "Explanation",
    "Outcome",
    "Plan",
    "Status",
    "Verification",
    "apply",
    "disable",
    "emergency_national",
    "enable",
    "explain",
    "plan",
    "plan_emergency",
    "plan_rollback",
    "release_hold",
    "rollback",
    "status",
    "verify",
]
