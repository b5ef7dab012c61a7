-- Every answered leg stands once in the load of the sites, on the date on which it was answered.
{{ config(meta={'feeds': ['calls', 'site_positions'], 'lookahead_days': 1}) }}

with answered as (
    select
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
        and {{ is_changed('roots.business_date', days_before=1) }}
),

legs as (
    select
        business_date,
        count(*) as answered_leg_count
    from answered
    where {{ is_changed() }}
    group by business_date
),

loads as (
    select
        business_date,
        sum(answered_leg_count) as answered_leg_count
    from {{ ref('mart_site_load_half_hourly') }}
    where {{ is_changed() }}
    group by business_date
)

select
    business_date,
    legs.answered_leg_count,
    loads.answered_leg_count as site_answered_leg_count
from legs
full join loads using (business_date)
where coalesce(legs.answered_leg_count, 0) <> coalesce(loads.answered_leg_count, 0)
