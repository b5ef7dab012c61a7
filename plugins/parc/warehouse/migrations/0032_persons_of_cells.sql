-- The persons of a cell, each counted once, as the models of the same names count them from now on.

do $$
declare
    schema_name text;
begin
    if to_regclass('marts.fct_calls') is null then
        return;
    end if;
    set local role parc_transformer;

    alter table intermediate.int_calls_daily
        add column if not exists offered_person_count bigint,
        add column if not exists ivr_resolved_person_count bigint,
        add column if not exists ivr_abandoned_person_count bigint,
        add column if not exists blocked_person_count bigint,
        add column if not exists customer_answered_person_count bigint;
    update intermediate.int_calls_daily as daily
    set
        offered_person_count = counted.offered,
        ivr_resolved_person_count = counted.ivr_resolved,
        ivr_abandoned_person_count = counted.ivr_abandoned,
        blocked_person_count = counted.blocked,
        customer_answered_person_count = counted.customer_answered
    from (
        select
            business_date, home_directorate_code, home_region_code, market,
            count(distinct identity_key) filter (where is_offered) as offered,
            count(distinct identity_key) filter (where outcome = 'ivr_resolved') as ivr_resolved,
            count(distinct identity_key) filter (where outcome = 'ivr_abandoned') as ivr_abandoned,
            count(distinct identity_key) filter (where outcome = 'blocked') as blocked,
            count(distinct identity_key) filter (
                where outcome = 'answered' and customer_key is not null
            ) as customer_answered
        from marts.fct_calls
        group by 1, 2, 3, 4
    ) as counted
    where daily.business_date = counted.business_date
        and daily.directorate_code = counted.home_directorate_code
        and daily.region_code = counted.home_region_code
        and daily.market = counted.market;

    alter table intermediate.int_interventions_daily
        add column if not exists requested_person_count bigint not null default 0,
        add column if not exists closed_person_count bigint not null default 0,
        add column if not exists customer_closed_person_count bigint not null default 0,
        add column if not exists promised_person_count bigint not null default 0;
    update intermediate.int_interventions_daily as daily
    set requested_person_count = counted.persons
    from (
        select requested_date, department_code, kind, count(distinct identity_key) as persons
        from build.fct_interventions
        group by 1, 2, 3
    ) as counted
    where daily.business_date = counted.requested_date
        and daily.department_code = counted.department_code
        and daily.kind = counted.kind;
    update intermediate.int_interventions_daily as daily
    set closed_person_count = counted.persons, customer_closed_person_count = counted.customers
    from (
        select
            closed_date, department_code, kind, count(distinct identity_key) as persons,
            count(distinct identity_key) filter (where customer_key is not null) as customers
        from build.fct_interventions
        where closed_date is not null
        group by 1, 2, 3
    ) as counted
    where daily.business_date = counted.closed_date
        and daily.department_code = counted.department_code
        and daily.kind = counted.kind;
    update intermediate.int_interventions_daily as daily
    set promised_person_count = counted.persons
    from (
        select slots.slot_date, slots.department_code, slots.kind, count(distinct jobs.identity_key) as persons
        from intermediate.int_intervention_slots as slots
        inner join build.fct_interventions as jobs using (job_id)
        group by 1, 2, 3
    ) as counted
    where daily.business_date = counted.slot_date
        and daily.department_code = counted.department_code
        and daily.kind = counted.kind;

    alter table intermediate.int_site_work_half_hourly add column if not exists person_count bigint;
    update intermediate.int_site_work_half_hourly as work
    set person_count = counted.persons
    from (
        with legs as (
            select
                leg.business_date,
                calls.identity_key,
                coalesce(leg.site_code, 'unknown') as site_code,
                least(leg.queued_at, ends.at - interval '1 microsecond') as queued_at,
                case
                    when leg.outcome = 'answered' then least(leg.answered_at, ends.at - interval '1 microsecond')
                end as answered_at,
                least(
                    leg.answered_at
                    + make_interval(secs => leg.talk_seconds::bigint + leg.hold_seconds + leg.wrap_up_seconds),
                    ends.at
                ) as work_ends_at
            from staging.stg_calls__legs as leg
            inner join marts.fct_calls as calls using (business_date, call_id)
            cross join lateral (
                select (leg.business_date + 2)::timestamp at time zone 'Europe/Paris' as at
            ) as ends
            where leg.queued_at is not null
        ),
        present as (
            select business_date, site_code, identity_key, queued_at as at from legs
            union all
            select business_date, site_code, identity_key, answered_at from legs where answered_at is not null
            union all
            select legs.business_date, legs.site_code, legs.identity_key, half_hour.at
            from legs
            cross join lateral generate_series(
                date_bin('30 minutes', legs.answered_at, '2000-01-01 00:00:00+00'),
                legs.work_ends_at - interval '1 microsecond',
                interval '30 minutes'
            ) as half_hour (at)
            where legs.answered_at is not null
        )
        select
            business_date, site_code,
            date_bin('30 minutes', at, '2000-01-01 00:00:00+00') as half_hour_at,
            count(distinct identity_key) as persons
        from present
        group by 1, 2, 3
    ) as counted
    where work.business_date = counted.business_date
        and work.site_code = counted.site_code
        and work.half_hour_at = counted.half_hour_at;

    foreach schema_name in array array['build', 'marts'] loop
        execute format(
            $sql$
            alter table %1$I.mart_service_quality_daily
                add column if not exists offered_person_count bigint not null default 0,
                add column if not exists ivr_resolved_person_count bigint not null default 0,
                add column if not exists ivr_abandoned_person_count bigint not null default 0,
                add column if not exists blocked_person_count bigint not null default 0;
            update %1$I.mart_service_quality_daily as mart
            set
                offered_person_count = daily.offered_person_count,
                ivr_resolved_person_count = daily.ivr_resolved_person_count,
                ivr_abandoned_person_count = daily.ivr_abandoned_person_count,
                blocked_person_count = daily.blocked_person_count
            from intermediate.int_calls_daily as daily
            where mart.business_date = daily.business_date
                and mart.directorate_code = daily.directorate_code
                and mart.region_code = daily.region_code
                and mart.market = daily.market;

            alter table %1$I.mart_boutiques_daily
                add column if not exists visit_person_count bigint not null default 0,
                add column if not exists customer_visit_person_count bigint not null default 0;
            update %1$I.mart_boutiques_daily as mart
            set visit_person_count = counted.persons, customer_visit_person_count = counted.customers
            from (
                select
                    business_date, directorate_code, region_code, count(distinct identity_key) as persons,
                    count(distinct identity_key) filter (where customer_key is not null) as customers
                from marts.fct_boutique_visits
                group by 1, 2, 3
            ) as counted
            where mart.business_date = counted.business_date
                and mart.directorate_code = counted.directorate_code
                and mart.region_code = counted.region_code;

            alter table %1$I.mart_cross_channel_daily
                add column if not exists customer_answered_person_count bigint,
                add column if not exists customer_visit_person_count bigint,
                add column if not exists customer_closed_person_count bigint;
            update %1$I.mart_cross_channel_daily as mart
            set
                customer_answered_person_count = persons.answered,
                customer_visit_person_count = persons.visited,
                customer_closed_person_count = persons.closed
            from (
                select
                    business_date, directorate_code,
                    max(answered) as answered, max(visited) as visited, max(closed) as closed
                from (
                    select
                        business_date, directorate_code,
                        customer_answered_person_count as answered, 0 as visited, 0 as closed
                    from intermediate.int_calls_daily
                    union all
                    select business_date, directorate_code, 0, customer_visit_person_count, 0
                    from %1$I.mart_boutiques_daily
                    union all
                    select
                        jobs.business_date, coalesce(homes.directorate_code, 'unknown'),
                        0, 0, jobs.customer_closed_person_count
                    from intermediate.int_interventions_daily as jobs
                    left join intermediate.int_homes as homes
                        on jobs.department_code = homes.home_key
                        and jobs.business_date >= homes.valid_from
                        and jobs.business_date < homes.valid_to
                ) as counted
                group by 1, 2
            ) as persons
            where mart.business_date = persons.business_date
                and mart.directorate_code = persons.directorate_code;

            alter table %1$I.mart_site_load_half_hourly add column if not exists person_count bigint not null default 0;
            update %1$I.mart_site_load_half_hourly as mart
            set person_count = worked.persons
            from (
                select site_code, half_hour_at, max(person_count) as persons
                from intermediate.int_site_work_half_hourly
                where person_count is not null
                group by 1, 2
            ) as worked
            where mart.site_code = worked.site_code and mart.half_hour_at = worked.half_hour_at
            $sql$,
            schema_name
        );
    end loop;
    reset role;
end
$$;
