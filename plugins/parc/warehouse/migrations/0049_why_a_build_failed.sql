-- A build that failed because of the machine says so, for the steps that mend it.

alter table ops.build
add column failed_by text check (failed_by in ('disk full', 'connection lost'));

comment on column ops.build.failed_by is
'What of the machine made it fail; null if data or models did, or if it has not failed.';
