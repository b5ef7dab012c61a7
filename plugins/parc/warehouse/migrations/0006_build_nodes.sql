-- What became of each node of a build, from which build it went on, and what it was built without.

create table ops.build_node (
    build_id bigint not null references ops.build on delete cascade,
    node text not null,
    kind text not null,
    tested text[],
    status text not null check (status in ('success', 'warn', 'fail', 'error', 'skipped')),
    seconds double precision not null,
    row_count bigint,
    message text,
    failing_rows jsonb,
    position integer not null,
    primary key (build_id, node)
);
comment on table ops.build_node is
    'What became of each model, seed and test that a build ran. A build that goes on from another ran only what that one left; a killed build has none.';
comment on column ops.build_node.node is 'Name of the model, seed or test.';
comment on column ops.build_node.kind is 'dbt''s resource type: model, seed, test, unit_test, ...';
comment on column ops.build_node.tested is 'The models and seeds that a test reads; null for others.';
comment on column ops.build_node.status is
    'success (a test: passed), warn, fail (a test), error, skipped (what it reads had failed).';
comment on column ops.build_node.seconds is 'Seconds that it took.';
comment on column ops.build_node.row_count is 'Rows written; of a data test the rows that break it; null where dbt does not tell.';
comment on column ops.build_node.message is 'What dbt said; null where it passed without a word.';
comment on column ops.build_node.failing_rows is 'First rows, at most 5, that break a failed data test, as objects.';
comment on column ops.build_node.position is 'Order of finishing, from 1.';

alter table ops.build
    add column missing jsonb not null default '[]',
    add column resumed_build_id bigint references ops.build;
comment on column ops.build.missing is
    'Deliveries that were due and not in the build: [{feed, business_date, due_at, status: missing | refused | arriving}].';
comment on column ops.build.resumed_build_id is
    'The failed build from whose last good node this one went on; null where everything was done.';

alter table marts.published_build add column missing jsonb not null default '[]';
comment on column marts.published_build.missing is
    'Deliveries that were due and are not in the marts: [{feed, business_date, due_at, status: missing | refused | arriving}].';

grant select, insert, delete on ops.build_node to parc_transformer;
grant select on ops.build_node to parc_loader, parc_exporter;
