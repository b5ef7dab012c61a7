-- Views of one grain beside the rate views.

create table ops.grain_views (
    relation text primary key,
    names text[] not null,
    made_from text not null
);
comment on table ops.grain_views is
    'The views of one grain in the schema `marts`, as the last publication that changed them made them: one row per relation whose parts they are.';
comment on column ops.grain_views.relation is 'Name of the relation.';
comment on column ops.grain_views.names is 'Names of the views.';
comment on column ops.grain_views.made_from is 'SHA-256 of all that they were made from.';
grant select, insert, delete on ops.grain_views to parc_transformer;
