-- What a notice reports, as columns: the desk reads these, and nothing out of the notice's text.

alter table ops.notice
add column kind text,
add column feed text,
add column last_date date,
add column reasons text[],
add column impact text,
add column steps jsonb;

-- Notices from before: what their text said, read for the last time.
update ops.notice
set
    kind = case
        when dag_id = 'build_marts' then 'build run '
        when dag_id = 'export_routing' then 'release run '
        when dag_id = 'maintain_warehouse' then 'maintenance run '
        when dag_id = 'ingest_late' then 'late run '
        else 'ingest run '
    end || case when split_part(text, chr(10), 1) ~ '^\w+ is overdue' then 'overdue' else 'failed' end,
    feed = case when dag_id ~ '^ingest_' and dag_id <> 'ingest_late' then substring(dag_id from 8) end,
    last_date = business_date,
    reasons = array[split_part(text, chr(10), 3)],
    impact = coalesce(substring(text from '(?n)^What stays: (.*)$'), ''),
    steps = '[]';

alter table ops.notice
alter column kind set not null,
alter column reasons set not null,
alter column impact set not null,
alter column steps set not null;

comment on column ops.notice.kind is 'Kind of finding: which DAG, failed or overdue. It names the runbook.';
comment on column ops.notice.feed is 'Feed that the DAG ingests; null = not a DAG of one feed.';
comment on column ops.notice.last_date is 'Last business date of the run; null where it has none.';
comment on column ops.notice.reasons is 'Why it failed: one text for each failed task.';
comment on column ops.notice.impact is 'What the failure leaves as it was.';
comment on column ops.notice.steps is
    'What to do: [{label, command, link, is_alternative}]; a link is a path below Airflow''s address.';
