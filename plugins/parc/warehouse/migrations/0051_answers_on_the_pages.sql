-- The pages answer findings too, so the API server's own room stores answers; and an answer can be taken back.

alter table ops.finding_answer drop constraint finding_answer_answer_check;
alter table ops.finding_answer add constraint finding_answer_answer_check
check (answer in ('acknowledged', 'dismissed', 'reopened'));
comment on column ops.finding_answer.answer is
    'acknowledged: somebody is at it, it still counts as wrong; dismissed: it does not count; reopened: the answer before is taken back.';
comment on column ops.finding_answer.until is
    'When the answer ends by itself (UTC instant); of reopened, when the answer before would have ended.';
revoke all on ops.finding_answer from parc_loader;
grant select, insert on ops.finding_answer to parc_exporter;
