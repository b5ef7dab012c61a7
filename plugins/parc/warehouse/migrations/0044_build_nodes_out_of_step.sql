-- A node that failed because its table has other columns than its model says so, for the step that mends it.

alter table ops.build_node
add column is_out_of_step boolean not null default false;

comment on column ops.build_node.is_out_of_step is
'Whether it failed because its table has other columns than its model: only a full refresh rebuilds the table.';
