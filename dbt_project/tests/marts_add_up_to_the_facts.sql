-- National totals equal the sum over directorates, regions and zones, unknown ones included.
{{ config(meta={'feeds': ['calls']}) }}

with facts as (
    select
        business_date,
        count(*) filter (where is_offered) as offered_count
    from {{ ref('fct_calls') }}
    where {{ is_changed() }}
    group by business_date
),

marts as (
    select 'mart_service_quality_daily' as mart, business_date, sum(offered_count) as offered_count
    from {{ ref('mart_service_quality_daily') }}
    where {{ is_changed() }}
    group by business_date
    union all
    select 'mart_parc_rollout_daily' as mart, business_date, sum(offered_count) as offered_count
    from {{ ref('mart_parc_rollout_daily') }}
    where {{ is_changed() }}
    group by business_date
    union all
    select 'mart_routing_demand_half_hourly' as mart, business_date, sum(offered_count) as offered_count
    from {{ ref('mart_routing_demand_half_hourly') }}
    where {{ is_changed() }}
    group by business_date
),

names as (
    select distinct mart from marts
)

select
    names.mart,
    facts.business_date,
    facts.offered_count as fact_offered_count,
    marts.offered_count as mart_offered_count
from facts
cross join names
left join marts on facts.business_date = marts.business_date and names.mart = marts.mart
where facts.offered_count <> coalesce(marts.offered_count, 0)
