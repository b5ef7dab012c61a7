"""Everything that happened to releases, newest first: planned, answered, released, undone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

EVENTS = """
select at, verdict as what, effective_date, subject, requested_by as who,
    array_to_string(reasons, '; ') as why, build_id, dag_id, run_id
from ops.routing_plan where verdict in ('refused', 'blocked')
union all
select request.at, 'waits for a person', plan.effective_date, plan.subject, request.requested_by,
    array_to_string(plan.reasons, '; '), plan.build_id, request.dag_id, request.run_id
from ops.routing_request as request left join ops.routing_plan as plan using (plan_id)
union all
select coalesce(answer.answered_at, answer.at), answer.verdict, request.business_date + 1, plan.subject,
    answer.answered_by,
    coalesce(answer.reason, case answer.verdict
        when 'superseded' then 'another run planned it again'
        when 'expired' then 'nobody answered in time'
    end),
    plan.build_id, request.dag_id, request.run_id
from ops.routing_answer as answer
inner join ops.routing_request as request using (request_id)
left join ops.routing_plan as plan using (plan_id)
union all
select event.at,
    case
        when event.event = 'rolled_back' then 'undone by itself'
        when event.event <> 'activated' then event.event
        when kind = 'rollback' then 'rolled back'
        when kind = 'emergency' then 'all calls national'
        when kind = 'adopt' then 'adopted'
        else 'released'
    end,
    effective_date, version, requested_by,
    concat_ws(
        '; ', case when approved_by <> '' then 'approved by ' || approved_by end, reason, nullif(detail, '')
    ),
    build_id, dag_id, run_id
from ops.routing_release_event as event inner join ops.routing_release using (release_id)
where event.event <> 'staged'
union all
select at, 'hold ' || event, null, null, set_by, reason, null, null, null from ops.routing_hold
union all
select at, 'routing ' || event, null, null, set_by, reason, null, null, null from ops.routing_kill_switch
union all
select at, 'drain ' || event, null, site_code, set_by, reason, null, null, null from ops.routing_drain
"""


@dataclass(frozen=True)
class Event:
    """One thing that happened. `subject` is what it would change, or the version on the switch, or a site;
    `who` is None where nobody did it."""

    at: datetime
    what: str
    effective_date: date | None
    subject: str | None
    who: str | None
    why: str | None
    build_id: int | None
    dag_id: str | None
    run_id: str | None


def events(connection: Connection[Any], count: int) -> list[Event]:
    """The last events, newest first."""
    with connection.cursor(row_factory=class_row(Event)) as cursor:
        query = f"select * from ({EVENTS}) as event order by at desc limit %s"
        return cursor.execute(query.encode(), [count]).fetchall()
