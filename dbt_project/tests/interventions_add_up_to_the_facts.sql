-- National totals equal the sum over directorates and regions, unknown ones included. Without an extract they are null.
{{ config(meta={'feeds': ['intervention_events']}) }}

with days as (
    select
        business_date,
        bool_and(is_interventions_complete) as is_complete,
        sum(requested_count) as requested_count,
        sum(closed_count) as closed_count
    from {{ ref('mart_interventions_daily') }}
    group by business_date
),

facts as (
    select
        business_date,
        count(*) filter (where what = 'requested') as requested_count,
        count(*) filter (where what = 'closed') as closed_count
    from (
        select requested_date as business_date, 'requested' as what from {{ ref('fct_interventions') }}
        where {{ is_changed('requested_date') }}
        union all
        select closed_date as business_date, 'closed' as what from {{ ref('fct_interventions') }}
        where {{ is_changed('closed_date') }}
    ) as events
    group by business_date
)

select
    days.business_date,
    days.requested_count as mart_requested_count,
    facts.requested_count as fact_requested_count,
    days.closed_count as mart_closed_count,
    facts.closed_count as fact_closed_count
from days
left join facts on days.business_date = facts.business_date
where
    {{ is_changed('days.business_date') }}
    and (days.requested_count, days.closed_count)
    is distinct from (
        case when days.is_complete then coalesce(facts.requested_count, 0) end,
        case when days.is_complete then coalesce(facts.closed_count, 0) end
    )
