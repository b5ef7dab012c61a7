-- Of one person, all that was put on the list together: who is named again by one of it is named by all.

alter table ops.forgotten add column person uuid not null default gen_random_uuid();
comment on column ops.forgotten.person is 'Random; the same for all pseudonyms of a person.';
alter table ops.forgotten alter column person drop default;
