-- A person's identity is the beginning of the pseudonym, so that a change of keys brings all along; and who was forgotten.

create function ops.identity_of(pseudonym uuid) returns bigint
language sql immutable parallel safe strict
as $$ select ('x' || encode(substring(uuid_send(pseudonym) from 1 for 8), 'hex'))::bit(64)::bigint $$;
comment on function ops.identity_of is 'First 8 bytes of a pseudonym as a signed big-endian integer: whose a contact is across channels.';
grant execute on function ops.identity_of to parc_loader;

do $$
declare
    held record;
begin
    set local default_statistics_target = 25;
    for held in
        select
            attrelid::regclass as name,
            array_agg(attname::text) as columns,
            relnamespace::regnamespace::text as schema_name
        from pg_attribute
        inner join pg_class on pg_class.oid = attrelid
        where relkind in ('r', 'p') and not relispartition and not attisdropped
            and relnamespace::regnamespace::text in ('raw', 'intermediate', 'build', 'marts')
            and attname in ('customer_identity', 'caller_identity', 'identity_key', 'customer_key', 'caller_key')
        group by attrelid, relnamespace
        having bool_or(attname ~ 'identity')
    loop
        if held.schema_name = 'raw' then
            execute format(
                'update %s set customer_identity = ops.identity_of(customer_key) where customer_identity is not null',
                held.name
            );
            if 'caller_identity' = any (held.columns) then
                execute format(
                    'update %s set caller_identity = ops.identity_of(caller_key) where caller_identity is not null',
                    held.name
                );
            end if;
        elsif 'caller_key' = any (held.columns) then
            execute format(
                'update %s set identity_key = ops.identity_of(coalesce(customer_key, caller_key)) '
                'where coalesce(customer_key, caller_key) is not null', held.name
            );
        else
            execute format(
                'update %s set identity_key = ops.identity_of(customer_key) where customer_key is not null', held.name
            );
        end if;
        execute format('analyze %s', held.name);
    end loop;
end
$$;

create table ops.forgotten (
    pseudonym uuid primary key,
    kind text not null check (kind in ('customer', 'number', 'line')),
    forgotten_at timestamptz not null default clock_timestamp()
);
comment on table ops.forgotten is
    'Who was forgotten, as keyed digests alone: no load lets these pseudonyms in. Personal data, kept so that nobody is brought back.';
comment on column ops.forgotten.pseudonym is 'What the loads would make of the number or reference under today''s keys.';
comment on column ops.forgotten.kind is 'What it stands for: a customer, a telephone number, a line.';
revoke select on ops.forgotten from parc_reader;
grant select on ops.forgotten to parc_loader;

create table ops.forgetting (
    forgetting_id bigint generated always as identity primary key,
    event text not null check (event in ('forgotten', 'keys changed')),
    requested_by text not null check (requested_by <> ''),
    reason text not null check (reason <> ''),
    row_counts jsonb not null,
    at timestamptz not null default clock_timestamp()
);
comment on table ops.forgetting is
    'Who had a person forgotten or the keys changed, when and why; of the person, nothing.';
comment on column ops.forgetting.row_counts is 'Rows that were written, by table.';
create trigger append_only before update or delete or truncate on ops.forgetting
    for each statement execute function ops.refuse_rewriting();
