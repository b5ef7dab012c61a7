-- Which key the warehouse's pseudonyms are made with: another one would make every person another.

create table ops.pseudonym_key (
    is_only boolean primary key default true check (is_only),
    fingerprint text not null,
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table ops.pseudonym_key is
    'At most one row: the key of all pseudonyms, as the first load found it. A load with another key is refused.';
comment on column ops.pseudonym_key.fingerprint is 'Hex HMAC-SHA256 of a fixed text under the key: it tells keys apart and not what they are.';

-- Nobody else needs it, and whoever has it may try keys on it.
revoke select on ops.pseudonym_key from parc_reader;
grant select, insert on ops.pseudonym_key to parc_loader;
