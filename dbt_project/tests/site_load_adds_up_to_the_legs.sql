-- Every answered leg occurs once in the load of the sites, on the date on which it was answered.
{{ config(meta={'feeds': ['calls', 'site_positions'], 'lookahead_days': 1}) }}

with answered as (
    select
        roots.business_date as contact_date,
        least(
            (leg.answered_at at time zone 'Europe/Paris')::date, roots.business_date + 1
        ) as business_date
    from {{ ref('int_call_roots') }} as roots
    left join {{ ref('int_call_cross_date_duplicates') }} as duplicates
        on roots.business_date = duplicates.business_date
        and roots.call_id = duplicates.call_id
    cross join lateral jsonb_to_recordset(roots.queued_legs) as leg (answered_at timestamptz)
    where
        duplicates.call_id is null
        and leg.answered_at is not null
),

legs as (
    select
        contact_date,
        business_date,
        count(*) as answered_leg_count
    from answered
    group by contact_date, business_date
),

work as (
    select
        business_date as contact_date,
        (half_hour_at at time zone 'Europe/Paris')::date as business_date,
        sum(answered_leg_count) as answered_leg_count
    from {{ ref('int_site_work_half_hourly') }}
    where {{ is_changed(days_before=1) }}
    group by business_date, (half_hour_at at time zone 'Europe/Paris')::date
),

loads as (
    select
        business_date,
        sum(answered_leg_count) as answered_leg_count
    from {{ ref('mart_site_load_half_hourly') }}
    where {{ is_changed() }}
    group by business_date
),

worked as (
    select
        business_date,
        sum(answered_leg_count) as answered_leg_count
    from work
    where {{ is_changed() }}
    group by business_date
)

select
    'work' as what,
    contact_date,
    business_date,
    legs.answered_leg_count,
    work.answered_leg_count as found_count
from legs
left join work using (contact_date, business_date)
where legs.answered_leg_count <> coalesce(work.answered_leg_count, 0)
union all
select
    'load' as what,
    null as contact_date,
    business_date,
    worked.answered_leg_count,
    loads.answered_leg_count as found_count
from worked
full join loads using (business_date)
where coalesce(worked.answered_leg_count, 0) <> coalesce(loads.answered_leg_count, 0)
