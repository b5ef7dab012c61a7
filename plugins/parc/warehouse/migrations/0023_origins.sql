-- Where the rows come from that broke a node of a build.

alter table ops.build_node add column origins jsonb not null default '[]';
comment on column ops.build_node.origins is
    'Deliveries that the rows which broke a failed node may come from: [{feed, business_date, delivery_id, file, line}]; file and line where the row is known.';
comment on column ops.build_node.failing_rows is
    'First rows, at most 5, that break a failed data test or the contract of a model, as objects.';
