with demand as (
    select * from {{ ref('mart_routing_demand_half_hourly') }}
),

zones as (
    select * from {{ ref('zones') }}
),

final as (
    select
        demand.half_hour_at,
        demand.business_date,
        zones.region_code,
        zones.directorate_code,
        sum(demand.handle_seconds)::bigint as handle_seconds
    from demand
    inner join zones on demand.zone_code = zones.zone_code
    where demand.market = 'open' and zones.region_code is not null
    group by 1, 2, 3, 4
)

select * from final
