-- What was told of runs that failed, and when the files of a delivery were looked at last.

create table ops.notice (
    notice_id bigint generated always as identity primary key,
    dag_id text not null,
    run_id text not null,
    business_date date,
    owner text not null,
    text text not null,
    sent_to text,
    at timestamptz not null default clock_timestamp(),
    unique (dag_id, run_id)
);
comment on table ops.notice is
    'One row per run of Airflow''s that failed or is overdue: what was told of it. A run that fails again after it was cleared has its row rewritten.';
comment on column ops.notice.business_date is 'Business date of the run, the first of several; null where it has none.';
comment on column ops.notice.owner is 'Owner of the DAG.';
comment on column ops.notice.sent_to is 'Where it was sent, passwords masked; null = nowhere.';
comment on column ops.notice.at is 'When it was told, the last time (UTC instant).';

grant select, insert, update on ops.notice to parc_loader;

alter table ops.delivery add column seen_at timestamptz;
comment on column ops.delivery.seen_at is
    'When the same bytes were found in the landing zone again, the last time (UTC instant); null = never.';
