-- Where the calls of a number go, asked on a page: by the table that is live, with numbers as keys alone.

create table routing.live_table (
    is_the_row boolean primary key default true check (is_the_row),
    version text not null,
    content_digest text not null,
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table routing.live_table is
    'The table that the switch took last, as far as it says where a call goes: its rows are in the other live_... tables. One row.';

create table routing.live_service (dialled_number text primary key, market text not null);
create table routing.live_prefix (prefix text primary key, zone_code text not null);
create table routing.live_exception (number_key uuid primary key, zone_code text not null);
comment on column routing.live_exception.number_key is 'Pseudonym of the number (E.164).';
create table routing.live_window (
    zone_code text not null,
    opens_at timestamptz not null,
    closes_at timestamptz not null,
    primary key (zone_code, opens_at)
);
create table routing.live_route (
    zone_code text not null,
    market text not null,
    band text not null,
    priority integer not null,
    site_code text not null,
    weight integer not null,
    primary key (zone_code, market, band, priority, site_code)
);

grant select, insert, update, delete on routing.live_table to parc_exporter;
grant select, insert, delete on
    routing.live_service, routing.live_prefix, routing.live_window, routing.live_route to parc_exporter;
grant select, insert, delete, truncate on routing.live_exception to parc_exporter;
grant select on ops.pseudonym_key to parc_exporter;

create table ops.number_question (
    question_id bigint generated always as identity primary key,
    asked_by text not null check (asked_by <> ''),
    number_key uuid not null,
    zone_code text not null,
    version text not null,
    at timestamptz not null default clock_timestamp()
);
create index on ops.number_question (asked_by, at);
comment on table ops.number_question is
    'Numbers that somebody had explained on the page of routing: who, when, and what the answer was. Only ops.explain_number adds rows.';
comment on column ops.number_question.asked_by is 'Login to Airflow.';
comment on column ops.number_question.number_key is 'Pseudonym of the number (E.164).';
comment on column ops.number_question.zone_code is 'Zone that takes the number''s calls, by the answer.';
comment on column ops.number_question.version is 'Routing table that the answer is from.';
grant select, delete on ops.number_question to parc_maintenance;

create function ops.explain_number(
    who text, key_of_number uuid, fingerprint_of_key text, beginning text, service text, call_at timestamptz
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
declare
    most_questions constant integer := 20;
    period constant interval := '1 hour';
    instant constant text := 'YYYY-MM-DD"T"HH24:MI:SS"Z"';
    free_at timestamptz;
    table_version text;
    exception_zone text;
    found_prefix text;
    zone text;
    service_market text;
begin
    if exists (select from ops.pseudonym_key as known where known.fingerprint <> fingerprint_of_key) then
        return jsonb_build_object('is_other_key', true);
    end if;

    -- One question at a time, so that all API servers count the same.
    lock table ops.number_question in share row exclusive mode;
    select question.at + period into free_at
    from ops.number_question as question
    where question.asked_by = who and question.at > clock_timestamp() - period
    order by question.at desc
    offset most_questions - 1
    limit 1;
    if free_at is not null then
        -- A second later, because fractions of it are cut off.
        return jsonb_build_object(
            'free_at', to_char(free_at + interval '1 second', instant), 'most_questions', most_questions
        );
    end if;

    -- A release that records its table has this row locked: the answer is from one table. Of one that did not say how
    -- it ended, nobody but the switch knows whether its table is live.
    select live.version into table_version from routing.live_table as live for share;
    if table_version is distinct from (
        select release.version
        from ops.routing_release as release
        inner join ops.routing_release_event as event using (release_id)
        where event.event = 'activated'
        order by event.event_id desc
        limit 1
    ) or table_version is null or 'staged' = (
        select event.event from ops.routing_release_event as event order by event.event_id desc limit 1
    ) then
        return '{}';
    end if;

    select live.zone_code into exception_zone
    from routing.live_exception as live
    where live.number_key = key_of_number;
    if exception_zone is null then
        select live.prefix, live.zone_code into found_prefix, zone
        from routing.live_prefix as live
        where live.prefix in (
            select left(beginning, digit_count) from generate_series(1, length(beginning)) as digit_count
        )
        order by length(live.prefix) desc
        limit 1;
    end if;
    zone := coalesce(exception_zone, zone, '*');
    select live.market into service_market from routing.live_service as live where live.dialled_number = service;

    -- A forgotten person comes back under no key of theirs.
    if exists (select from ops.forgotten where pseudonym = key_of_number) then
        key_of_number := encode(substring(uuid_send(gen_random_uuid()) from 1 for 10), 'hex') || '000000000000';
    end if;
    insert into ops.number_question (asked_by, number_key, zone_code, version)
    values (who, key_of_number, zone, table_version);

    return jsonb_build_object(
        'version', table_version,
        'services', (
            select coalesce(jsonb_agg(jsonb_build_object('dialled_number', service, 'market', service_market)), '[]')
            where service_market is not null
        ),
        'exceptions', (
            select coalesce(jsonb_agg(jsonb_build_object('zone_code', exception_zone)), '[]')
            where exception_zone is not null
        ),
        'prefixes', (
            select coalesce(jsonb_agg(jsonb_build_object('prefix', found_prefix, 'zone_code', zone)), '[]')
            where found_prefix is not null
        ),
        'windows', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'zone_code', near.zone_code,
                'opens_at', to_char(near.opens_at, instant),
                'closes_at', to_char(near.closes_at, instant)
            )), '[]')
            from (
                select
                    live.*,
                    lead(live.opens_at) over (partition by live.zone_code order by live.opens_at) as next_at,
                    lag(live.opens_at) over (partition by live.zone_code order by live.opens_at) as last_at
                from routing.live_window as live
                where live.zone_code in (zone, '*')
            ) as near
            where near.next_at is null
                or (near.opens_at <= call_at and near.next_at > call_at)
                or (near.opens_at > call_at and coalesce(near.last_at <= call_at, true))
        ),
        'routes', (
            select coalesce(jsonb_agg(to_jsonb(live)), '[]')
            from routing.live_route as live
            where live.zone_code in (zone, '*') and live.market = service_market
        )
    );
end
$$;
comment on function ops.explain_number is
    'The rows of the live table that decide one call, and nothing else: of a number''s key and first digits, a service number and an instant. An empty object while the live table is not recorded; `free_at` once a person has asked too often in an hour; `is_other_key` if the key was not made as the warehouse''s are. Each answer is recorded.';
revoke execute on function ops.explain_number from public;
grant execute on function ops.explain_number to parc_reader;
