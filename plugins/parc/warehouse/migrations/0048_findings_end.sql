-- Findings end: a notice when its run is mended, and any finding for as long as a person says.

alter table ops.notice
add column ended_at timestamptz,
add column ended_by text;
comment on column ops.notice.ended_at is 'When a later run of the DAG succeeded (UTC instant); null = none did.';
comment on column ops.notice.ended_by is 'Id of that run; of a build, where the notice is from before these columns.';

-- Until now the desk left out what was told before the last good build.
update ops.notice
set ended_at = build.finished_at, ended_by = 'build ' || build.build_id
from (
    select build_id, finished_at from ops.build
    where status = 'published'
    order by build_id desc
    limit 1
) as build
where at < build.finished_at;

create table ops.finding_answer (
    answer_id bigint generated always as identity primary key,
    finding_id text not null,
    kind text not null,
    subject text not null,
    answer text not null check (answer in ('acknowledged', 'dismissed')),
    answered_by text not null check (answered_by <> ''),
    reason text not null check (reason <> ''),
    answered_at timestamptz not null default clock_timestamp(),
    until timestamptz not null
);
comment on table ops.finding_answer is
    'What people answered to findings. The newest row of a finding counts, until its time has passed.';
comment on column ops.finding_answer.finding_id is 'Digest of what tells the finding apart: kind and subject.';
comment on column ops.finding_answer.kind is 'Kind of the finding, which names its runbook.';
comment on column ops.finding_answer.subject is 'What the finding concerns, in words.';
comment on column ops.finding_answer.answer is
    'acknowledged: somebody is at it, it still counts as wrong; dismissed: it does not count.';
comment on column ops.finding_answer.until is 'When the answer ends by itself (UTC instant).';
create trigger append_only before update or truncate on ops.finding_answer
for each statement execute function ops.refuse_rewriting();
grant select, insert on ops.finding_answer to parc_loader;
grant select, delete on ops.finding_answer to parc_maintenance;

-- Looked for by hand with a mistyped date: no night.
delete from ops.looked_for
where business_date > looked_at::date + 7;
