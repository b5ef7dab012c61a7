-- What customers do across channels is counted by region, boutique, reason and who answered, as the models of the same
-- names count it from now on. Of dates past retention nobody knows who was one person: they keep their figures, without these.

do $$
begin
    if to_regclass('marts.fct_calls') is null then
        return;
    end if;
    set local role parc_transformer;

    create temporary table kept_dates on commit drop as
    select
        dates.business_date,
        not exists (
            select from ops.delivery
            where feed in ('calls', 'boutique_visits') and expired_at is not null
                and delivery.business_date >= dates.business_date
        ) as are_visits_kept
    from (select distinct business_date from marts.mart_cross_channel_daily) as dates
    where not exists (
        select from ops.delivery
        where feed = 'calls' and expired_at is not null and delivery.business_date >= dates.business_date
    );
    analyze kept_dates;

    alter table intermediate.agg_calls_and_visits_daily
        add column region_code text not null default 'unknown',
        add column reason_code text default 'unknown',
        add column answered_by text default 'unknown',
        add column boutique_code text default 'unknown',
        add column repeat_visit_7d_count bigint not null default 0;
    delete from intermediate.agg_calls_and_visits_daily
    where business_date in (select business_date from kept_dates where are_visits_kept);

    insert into intermediate.agg_calls_and_visits_daily (
        business_date, directorate_code, region_code, reason_code, answered_by, boutique_code,
        customer_answered_count, visit_after_call_7d_count, customer_visit_count, call_after_visit_7d_count,
        repeat_visit_7d_count
    )
    select
        business_date, home_directorate_code, home_region_code, coalesce(reason_code, 'unknown'),
        case
            when answered_by = 'offshore' and is_in_hours then 'offshore_in_hours'
            when answered_by = 'offshore' then 'offshore_off_hours'
            else coalesce(answered_by, 'unknown')
        end,
        boutique_code, count(*), count(boutique_code), 0, 0, 0
    from (
        select
            calls.*,
            (
                select visits.boutique_code
                from marts.fct_boutique_visits as visits
                where visits.identity_key = calls.identity_key
                    and visits.business_date between calls.business_date and calls.business_date + 8
                    and visits.customer_key is not null
                    and visits.arrived_at > calls.offered_at
                    and visits.arrived_at <= calls.offered_at + interval '168 hours'
                order by visits.arrived_at, visits.boutique_code
                limit 1
            ) as boutique_code
        from marts.fct_calls as calls
        where calls.outcome = 'answered' and calls.customer_key is not null
            and calls.business_date in (select business_date from kept_dates where are_visits_kept)
    ) as answers
    group by 1, 2, 3, 4, 5, 6
    union all
    select
        business_date, directorate_code, region_code, null, null, boutique_code, 0, 0, count(*),
        count(*) filter (where is_followed), count(*) filter (where is_repeated)
    from (
        select
            visits.*,
            exists (
                select from marts.fct_calls as calls
                where calls.identity_key = visits.identity_key
                    and calls.business_date between visits.business_date and visits.business_date + 8
                    and calls.is_offered and calls.customer_key is not null
                    and calls.offered_at > visits.arrived_at
                    and calls.offered_at <= visits.arrived_at + interval '168 hours'
            ) as is_followed,
            exists (
                select from marts.fct_boutique_visits as others
                where others.identity_key = visits.identity_key
                    and others.business_date between visits.business_date and visits.business_date + 8
                    and others.customer_key is not null
                    and others.arrived_at > visits.arrived_at
                    and others.arrived_at <= visits.arrived_at + interval '168 hours'
            ) as is_repeated
        from marts.fct_boutique_visits as visits
        where visits.customer_key is not null
            and visits.business_date in (select business_date from kept_dates where are_visits_kept)
    ) as visited
    group by 1, 2, 3, 6;

    alter table intermediate.agg_calls_after_jobs_daily add column region_code text not null default 'unknown';
    delete from intermediate.agg_calls_after_jobs_daily where business_date in (select business_date from kept_dates);

    insert into intermediate.agg_calls_after_jobs_daily (
        business_date, directorate_code, region_code,
        customer_closed_count, call_after_job_7d_count, call_after_job_30d_count
    )
    select
        jobs.closed_date, coalesce(homes.directorate_code, 'unknown'), coalesce(homes.region_code, 'unknown'),
        count(*),
        count(*) filter (where next_call.at <= jobs.closed_at + interval '168 hours'),
        count(*) filter (where next_call.at is not null)
    from marts.fct_interventions as jobs
    left join intermediate.int_homes as homes
        on jobs.department_code = homes.home_key
        and jobs.closed_date >= homes.valid_from
        and jobs.closed_date < homes.valid_to
    cross join lateral (
        select min(calls.offered_at) as at
        from marts.fct_calls as calls
        where calls.identity_key = jobs.identity_key
            and calls.business_date between jobs.closed_date and jobs.closed_date + 31
            and calls.is_offered and calls.customer_key is not null
            and calls.offered_at > jobs.closed_at
            and calls.offered_at <= jobs.closed_at + interval '720 hours'
    ) as next_call
    where jobs.customer_key is not null and jobs.closed_date in (select business_date from kept_dates)
    group by 1, 2, 3;

    alter table intermediate.agg_calls_and_visits_daily
        alter column region_code drop default, alter column region_code drop not null,
        alter column reason_code drop default,
        alter column answered_by drop default,
        alter column boutique_code drop default,
        alter column repeat_visit_7d_count drop default, alter column repeat_visit_7d_count drop not null;
    alter table intermediate.agg_calls_after_jobs_daily
        alter column region_code drop default, alter column region_code drop not null;
    reset role;
end
$$;
