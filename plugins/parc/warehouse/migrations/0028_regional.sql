-- What the logins of the directorates read: views on the marts, made by each publication.

create schema regional authorization parc_transformer;
comment on schema regional is 'What a directorate reads of the marts: its own rows and those of the nation.';
grant usage on schema regional to bi_regional;
alter default privileges for role parc_transformer in schema regional grant select on tables to bi_regional;

create table ops.regional_view (
    name text primary key,
    definition text not null
);
comment on table ops.regional_view is 'The views in the schema `regional`, as the last publication made them.';
grant select, insert, delete on ops.regional_view to parc_transformer;
