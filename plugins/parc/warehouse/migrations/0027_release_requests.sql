-- Who asked for a release and who answered, as it happened: an approval is read here and nowhere else.

create table ops.routing_request (
    request_id bigint generated always as identity primary key,
    plan_hash text not null,
    business_date date not null,
    requested_by text not null check (requested_by <> ''),
    question_id uuid unique,
    dag_id text,
    run_id text,
    at timestamptz not null default clock_timestamp()
);
create index routing_request_by_plan on ops.routing_request (plan_hash);
comment on table ops.routing_request is
    'One row per time that a person was asked to approve a routing plan: which, and in whose name.';
comment on column ops.routing_request.requested_by is
    'Who triggered the run or called the command line; the DAG, or the night, where no person did.';
comment on column ops.routing_request.question_id is
    'Airflow''s task instance that asks; null where the command line does.';

create table ops.routing_answer (
    request_id bigint primary key references ops.routing_request,
    verdict text not null check (verdict in ('approved', 'rejected', 'expired')),
    answered_by text,
    answered_by_id text,
    answered_at timestamptz,
    at timestamptz not null default clock_timestamp(),
    constraint answered_by_somebody check (verdict = 'expired' or answered_by <> '')
);
comment on table ops.routing_answer is
    'What Airflow''s own record says of a request: who answered what, and when. expired: nobody did in time.';
comment on column ops.routing_answer.answered_by is 'Name of the Airflow user; answered_by_id is its id.';
comment on column ops.routing_answer.answered_at is 'When the user answered (UTC instant).';

do $$
declare
    audited text;
begin
    foreach audited in array array['routing_request', 'routing_answer'] loop
        execute format(
            'create trigger append_only before update or delete or truncate on ops.%I '
            'for each statement execute function ops.refuse_rewriting()', audited
        );
        execute format('grant select, insert on ops.%I to parc_exporter', audited);
    end loop;
end
$$;

alter table ops.routing_release
    add column approved_at timestamptz,
    add column dag_id text,
    add column run_id text;
comment on column ops.routing_release.approved_at is 'When approved_by answered (UTC instant).';
comment on column ops.routing_release.dag_id is 'DAG and run of Airflow''s that released; null where the command line did.';

alter table ops.routing_release disable trigger append_only;
update ops.routing_release
set dag_id = requested_by, run_id = substring(reason from '^Airflow run (.*)$')
where requested_by = 'export_routing' and reason like 'Airflow run %';
alter table ops.routing_release enable trigger append_only;
