"""Routing: from the marts to the telephone switch. Planned, guarded, activated atomically, reversible.

Besides the switches there are four rooms: `table` (what a routing table is and should be), `judges` (what a
release would do, and whether it may), `plans` (a release on paper) and `steering` (making releases).
"""

from parc.ledger.releases import ApprovalReply, Reply
from parc.routing.plans.as_json import render_json
from parc.routing.plans.as_markdown import render_markdown
from parc.routing.plans.as_text import render_text
from parc.routing.plans.plan import Plan, PlanVerdict
from parc.routing.plans.remedies import of_verdict
from parc.routing.plans.wording import explain_verdict, headline, subject
from parc.routing.steering.activation import ReleaseResult
from parc.routing.steering.approval import (
    answer,
    answer_of_run,
    ask,
    check_approver,
    is_answered,
    note,
    reject,
)
from parc.routing.steering.drafting import plan, plan_emergency, plan_rollback
from parc.routing.steering.drains import drain, end_drain
from parc.routing.steering.explain import Explanation, explain
from parc.routing.steering.live_record import explain_recorded
from parc.routing.steering.night import newest_business_date
from parc.routing.steering.numbers import assign, forget_numbers, unassign
from parc.routing.steering.oversight import (
    Status,
    Verification,
    disable,
    enable,
    release_hold,
    status,
    verify,
)
from parc.routing.steering.release import apply, emergency_national, rollback

__all__ = [
    "ApprovalReply",
    "Explanation",
    "Plan",
    "PlanVerdict",
    "ReleaseResult",
    "Reply",
    "Status",
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
    "explain_recorded",
    "explain_verdict",
    "forget_numbers",
    "headline",
    "is_answered",
    "newest_business_date",
    "note",
    "of_verdict",
    "plan",
    "plan_emergency",
    "plan_rollback",
    "reject",
    "release_hold",
    "render_json",
    "render_markdown",
    "render_text",
    "rollback",
    "status",
    "subject",
    "unassign",
    "verify",
]
