-- A build leaves out what only seeds and the project's own text make, where neither has changed (ADR 23).

alter table ops.build add column project_sha256 text;
comment on column ops.build.project_sha256 is
    'Digest of the dbt project without its seeds, of dbt and of the schema files; null before version 0.2.0.';
