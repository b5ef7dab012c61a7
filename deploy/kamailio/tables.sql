-- The switch's database: two slots of canonical tables, and the views through which Kamailio reads them.
-- The writing role may run this again at any time; `kamailio` is the role that only reads.
-- Kamailio needs varchar (it drops text) and silently loads NULL and empty values, which explains the checks.
begin;

create schema if not exists switch;

do $$
declare
    slot text;
begin
    foreach slot in array array['slot_a', 'slot_b'] loop
        execute format('create schema if not exists %I', slot);
        execute format('set local search_path = %I', slot);
        create table if not exists release (
            version varchar(64) primary key check (version <> ''),
            content_digest varchar(64) not null check (content_digest <> '')
        );
        create unique index if not exists release_is_one on release ((true));
        create table if not exists services (
            dialled_number varchar(32) primary key check (dialled_number <> ''),
            market varchar(32) not null check (market <> '')
        );
        create table if not exists prefixes (
            prefix varchar(15) primary key check (prefix ~ '^[0-9]+$'),
            zone_code varchar(32) not null check (zone_code <> '')
        );
        create table if not exists exceptions (
            number varchar(16) primary key check (number ~ '^\+[1-9][0-9]+$'),
            zone_code varchar(32) not null check (zone_code <> '')
        );
        create table if not exists windows (
            zone_code varchar(32) not null check (zone_code <> ''),
            opens_at timestamptz not null,
            closes_at timestamptz not null check (closes_at > opens_at),
            primary key (zone_code, opens_at)
        );
        create table if not exists routes (
            zone_code varchar(32) not null check (zone_code <> ''),
            market varchar(32) not null check (market <> ''),
            band varchar(8) not null check (band in ('open', 'closed')),
            priority integer not null check (priority >= 1),
            site_code varchar(32) not null check (site_code ~ '^[A-Za-z0-9_]+$'),
            weight integer not null check (weight between 1 and 1000000),
            primary key (zone_code, market, band, priority, site_code)
        );
        create table if not exists sites (
            site_code varchar(32) primary key check (site_code ~ '^[A-Za-z0-9_]+$'),
            sip_address varchar(128) not null check (sip_address ~ '^sip:')
        );
    end loop;
end $$;

set local search_path = switch;

-- The live slot, the previous one, and the token of the last flip: one row.
create table if not exists control (
    is_the_row boolean primary key default true check (is_the_row),
    active varchar(1) check (active in ('a', 'b')),
    previous varchar(1) check (previous in ('a', 'b') and previous <> active),
    fence bigint not null default 0
);
insert into control default values on conflict do nothing;

create table if not exists drains (
    site_code varchar(32) primary key check (site_code ~ '^[A-Za-z0-9_]+$'),
    drained_until timestamptz not null
);

-- Everything staged, compressed, one row per table, so that a rollback can go back further than the other slot.
create table if not exists kept_table (
    sha256 varchar(64) primary key,
    data bytea not null
);
create table if not exists kept_release (
    version varchar(64) not null,
    table_name varchar(32) not null,
    sha256 varchar(64) not null references kept_table,
    primary key (version, table_name)
);

create or replace view ctl as
select
    'active'::varchar as key_name,
    0 as key_type,
    0 as value_type,
    active as key_value,
    0 as expires
from control
where active is not null
union all
select
    ('drain:' || site_code)::varchar,
    0,
    0,
    ceil(extract(epoch from drained_until))::bigint::varchar,
    0
from drains;

do $$
declare
    slot text;
begin
    foreach slot in array array['a', 'b'] loop
        execute format($view$
            create or replace view rt_%1$s as
            with pair as (
                select
                    zone_code,
                    market,
                    string_agg(
                        format('%%s %%s %%s=%%s', band, priority, site_code, weight), ';'
                        order by band, priority, site_code
                    ) as route
                from slot_%1$s.routes
                group by zone_code, market
            )
            select entry.key_name::varchar, 0 as key_type, 0 as value_type, entry.key_value::varchar, 0 as expires
            from (
                select '_v' as key_name, version as key_value from slot_%1$s.release
                union all
                select 's:' || dialled_number, market from slot_%1$s.services
                union all
                select 'a:' || site_code, sip_address from slot_%1$s.sites
                union all
                select
                    format('r:%%s:%%s:%%s:%%s', zone_code, market, band, place),
                    string_agg(format('%%s=%%s;', site_code, weight), '' order by site_code)
                from (
                    select
                        *,
                        dense_rank() over (partition by zone_code, market, band order by priority) as place
                    from slot_%1$s.routes
                ) as ranked
                group by zone_code, market, band, place
                union all
                select format('o:%%s:%%s', pair.zone_code, pair.market), '1'
                from pair
                left join pair as national on national.zone_code = '*' and pair.market = national.market
                where pair.zone_code <> '*' and pair.route is distinct from national.route
            ) as entry
        $view$, slot);
        execute format($view$
            create or replace view win_%1$s as
            select
                part.key_name::varchar as key_name,
                0 as key_type,
                0 as value_type,
                part.key_value::varchar as key_value,
                0 as expires
            from (
                select '_v' as key_name, version as key_value from slot_%1$s.release
                union all
                select
                    format('%%s:%%s', zone_code, day),
                    string_agg(format('%%s-%%s;', first_second, end_second), '' order by first_second)
                from (
                    select
                        zone_code,
                        day,
                        greatest(extract(epoch from opens_at)::bigint - day * 86400, 0) as first_second,
                        least(extract(epoch from closes_at)::bigint - day * 86400, 86400) as end_second
                    from slot_%1$s.windows
                    cross join lateral generate_series(
                        extract(epoch from opens_at)::bigint / 86400,
                        (extract(epoch from closes_at)::bigint - 1) / 86400
                    ) as day
                ) as by_day
                group by zone_code, day
            ) as part
        $view$, slot);
        execute format($view$
            create or replace view exc_%1$s as
            select
                substr(number, 2)::varchar as key_name,
                0 as key_type,
                0 as value_type,
                zone_code as key_value,
                0 as expires
            from slot_%1$s.exceptions
            union all
            select '_v', 0, 0, version, 0 from slot_%1$s.release
        $view$, slot);
        -- No number starts with three zeros, so the tree stores its version there.
        execute format($view$
            create or replace view geo_%1$s as
            select prefix as tprefix, zone_code as tvalue from slot_%1$s.prefixes
            union all
            select '000', version from slot_%1$s.release
        $view$, slot);
    end loop;
end $$;

create or replace view dispatcher as
select
    1 as setid,
    address.sip_address::varchar as destination,
    0 as flags,
    0 as priority,
    ''::varchar as attrs,
    ''::varchar as description
from (select sip_address from slot_a.sites union select sip_address from slot_b.sites) as address;

create or replace view version as
select 'dispatcher'::varchar as table_name, 4 as table_version;

grant usage on schema switch to kamailio;
grant select on ctl, rt_a, rt_b, win_a, win_b, exc_a, exc_b, geo_a, geo_b, dispatcher, version to kamailio;
commit;
