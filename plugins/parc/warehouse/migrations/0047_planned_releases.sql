-- What was planned for the switch and why it did not go there; who answered, in Airflow or on the command line, and why.

create table ops.routing_plan (
    plan_id bigint generated always as identity primary key,
    business_date date not null,
    effective_date date not null,
    plan_hash text not null,
    verdict text not null check (verdict in ('nothing to do', 'refused', 'blocked', 'needs approval', 'ready')),
    subject text not null,
    reasons text[] not null,
    steps jsonb not null,
    build_id bigint,
    requested_by text not null check (requested_by <> ''),
    dag_id text,
    run_id text,
    at timestamptz not null default clock_timestamp()
);
comment on table ops.routing_plan is
    'One row per time that a release was planned to be made: what could be done with the plan, and why not.';
comment on column ops.routing_plan.subject is 'What it would change, in one line.';
comment on column ops.routing_plan.reasons is 'What refuses or blocks it, or why a person must approve it.';
comment on column ops.routing_plan.steps is
    'What to do: [{label, command, link, is_alternative}]; a link is a path below Airflow''s address.';
comment on column ops.routing_plan.build_id is 'Build of the marts that it was planned from.';
comment on column ops.routing_plan.requested_by is
    'Who triggered the run or called the command line; the DAG, or the night, where no person did.';
comment on column ops.routing_plan.dag_id is 'DAG and run of Airflow''s that planned it; null where the command line did.';

create trigger append_only before update or delete or truncate on ops.routing_plan
for each statement execute function ops.refuse_rewriting();
grant select, insert on ops.routing_plan to parc_exporter;

alter table ops.routing_request
add column plan_id bigint references ops.routing_plan;
comment on column ops.routing_request.plan_id is 'The plan that was shown; null before plans were kept.';

alter table ops.routing_answer
drop constraint routing_answer_verdict_check,
drop constraint answered_by_somebody,
add constraint routing_answer_verdict_check
check (verdict in ('approved', 'rejected', 'expired', 'superseded')),
add constraint answered_by_somebody check (verdict in ('expired', 'superseded') or answered_by <> ''),
add column reason text;
comment on table ops.routing_answer is
    'The answer to a request: who, what, when, why. expired: nobody answered in time. '
    'superseded: another run planned again first.';
comment on column ops.routing_answer.answered_by is
    'Who answered: the Airflow user, whose id is answered_by_id, or the name given on the command line.';
comment on column ops.routing_answer.reason is 'Why; null where the person gave no reason.';

-- Builds are numbered one after the other, also after a crash of PostgreSQL, which makes a sequence skip numbers.
grant update on sequence ops.build_build_id_seq to parc_transformer;
