with zones as (
    select * from {{ ref('zones') }}
),

plan as (
    select * from {{ ref('rollout_plan') }}
),

final as (
    select
        zones.zone_code,
        plan.market,
        plan.planned_go_live_date,
        plan.withdrawn_on
    from zones
    inner join plan on zones.region_code = plan.region_code
)

select * from final
