-- Notices about the machine as well as about runs; what an address did not take is sent again.

alter table ops.notice
alter column dag_id drop not null,
alter column run_id drop not null,
add column subject text,
add column retry_at timestamptz,
add column end_sent_to text,
add constraint notice_concerns check (
    (dag_id is null) = (run_id is null) and (dag_id is null) <> (subject is null)
);

create unique index notice_subject on ops.notice (kind, subject, at) where dag_id is null;

comment on table ops.notice is
    'What was told: one row per run of Airflow''s that failed or is overdue, and one each time that something of the machine failed. A run that fails again after it was cleared has its row rewritten.';
comment on column ops.notice.dag_id is 'DAG of the run; null = about the machine.';
comment on column ops.notice.run_id is 'Id of the run; null = about the machine.';
comment on column ops.notice.subject is 'What of the machine failed, such as a process; null = about a run.';
comment on column ops.notice.owner is 'Owner of the DAG, or of the machine.';
comment on column ops.notice.ended_at is
    'When it was mended: when a later run of the DAG succeeded, or the machine worked again (UTC instant); null = not yet.';
comment on column ops.notice.ended_by is
    'Id of that run; of a build, where the notice is from before these columns; null = about the machine.';
comment on column ops.notice.retry_at is
    'When it is sent again to the addresses that did not take it (UTC instant); null = all have it, or it was given up.';
comment on column ops.notice.end_sent_to is
    'Where it was told that it is mended, passwords masked; null = nowhere.';
