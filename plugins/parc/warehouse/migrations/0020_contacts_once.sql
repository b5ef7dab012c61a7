-- Contacts and visits are stored once, in marts; `build` and `intermediate` hold those of the dates that a build changes.
-- So the legs of a date are no longer there for the date after it: the work that they were becomes the table that later
-- builds go on from. (What was never published is built anew.)

do $$
begin
    if to_regclass('marts.fct_calls') is null then
        return;
    end if;
    set local role parc_transformer;
    create table intermediate.int_site_work_half_hourly as
    with legs as (
        select
            roots.business_date,
            coalesce(leg.site_code, 'unknown') as site_code,
            least(leg.queued_at, ends.at - interval '1 microsecond') as queued_at,
            case
                when leg.answered_at is not null then least(leg.answered_at, ends.at - interval '1 microsecond')
            end as answered_at,
            least(leg.answered_at + make_interval(secs => leg.handle_seconds), ends.at) as work_ends_at
        from intermediate.int_call_roots as roots
        left join intermediate.int_call_cross_date_duplicates as duplicates using (business_date, call_id)
        cross join lateral (
            select (roots.business_date + 2)::timestamp at time zone 'Europe/Paris' as at
        ) as ends
        cross join lateral jsonb_to_recordset(roots.queued_legs)
            as leg (site_code text, queued_at timestamptz, answered_at timestamptz, handle_seconds bigint)
        where duplicates.call_id is null
    ),
    events as (
        select
            business_date, site_code, date_bin('30 minutes', queued_at, '2000-01-01 00:00:00+00') as half_hour_at,
            1 as queued_leg_count, 0 as answered_leg_count, 0 as handle_seconds
        from legs
        union all
        select
            business_date, site_code, date_bin('30 minutes', answered_at, '2000-01-01 00:00:00+00'),
            0, 1, 0
        from legs
        where answered_at is not null
        union all
        select
            legs.business_date, legs.site_code, half_hour.at,
            0, 0,
            extract(
                epoch from least(legs.work_ends_at, half_hour.at + interval '30 minutes')
                - greatest(legs.answered_at, half_hour.at)
            )
        from legs
        cross join lateral generate_series(
            date_bin('30 minutes', legs.answered_at, '2000-01-01 00:00:00+00'),
            legs.work_ends_at - interval '1 microsecond',
            interval '30 minutes'
        ) as half_hour (at)
        where legs.answered_at is not null
    )
    select
        business_date,
        half_hour_at,
        site_code,
        sum(queued_leg_count) as queued_leg_count,
        sum(answered_leg_count) as answered_leg_count,
        sum(handle_seconds)::numeric(16, 6) as handle_seconds
    from events
    group by business_date, half_hour_at, site_code;
    create index on intermediate.int_site_work_half_hourly (business_date);
    truncate
        intermediate.int_call_roots, intermediate.int_boutique_visits, build.fct_calls, build.fct_boutique_visits;
    reset role;
end
$$;
