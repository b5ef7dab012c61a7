-- The gate before a routing release: whether the governed seeds are built, and what was planned at the last release.
grant select (seed, sha256) on ops.seed_version to parc_exporter;

alter table ops.routing_release add column rollout jsonb;
comment on column ops.routing_release.rollout is
    'The rollout plan that the table was made by: [{zone_code, market, planned_go_live_date, withdrawn_on}]; null for a rollback, an emergency and adopted drift.';
