-- Routes where calls take them on the effective date: those of the zones that are live by the plan, and the national
-- one.
with release as (
    select %(business_date)s::date + 1 as effective_date
),

live as (
    select
        rollout.zone_code,
        rollout.market
    from marts.routing_rollout as rollout
    cross join release
    where
        rollout.planned_go_live_date <= release.effective_date
        and coalesce(rollout.withdrawn_on, 'infinity') > release.effective_date
),

services as (
    select distinct market from marts.routing_services
),

directorates as (
    select zone_code, nullif(directorate_code, '') as directorate_code
    from unnest(%(zone_codes)s::text[], %(zone_directorates)s::text[]) as zone (zone_code, directorate_code)
),

samples as (
    select site_code, is_sample::boolean as is_sample
    from unnest(%(site_codes)s::text[], %(site_samples)s::text[]) as site (site_code, is_sample)
),

used_routes as (
    select zone_code as route_code, market from live
    union all
    select 'national' as route_code, market from services
),

stops as (
    select
        used.route_code,
        used.market,
        routes.band,
        routes.priority,
        routes.priority = min(routes.priority) over (
            partition by used.route_code, used.market, routes.band
        ) as is_first,
        routes.site_code,
        routes.weight,
        sites.valid_from <= release.effective_date and coalesce(sites.valid_to, 'infinity') > release.effective_date
            as is_open,
        coalesce(sites.is_offshore, false) as is_offshore,
        used.route_code <> 'national' and (sites.directorate_code is distinct from directorates.directorate_code)
            as is_elsewhere
    from used_routes as used
    cross join release
    inner join marts.routing_routes as routes
        on used.route_code = routes.route_code
        and (
            used.market = routes.market
            or routes.market = '*' and not exists (
                select from marts.routing_routes as own
                where own.route_code = used.route_code and own.band = routes.band and own.market = used.market
            )
        )
    inner join marts.routing_sites as sites on routes.site_code = sites.site_code
    left join directorates on used.route_code = directorates.zone_code
),

bands as (
    select
        route_code,
        market,
        band,
        sum(weight) filter (where is_first) as first_weight,
        sum(weight) filter (where is_first and not is_open) as closed_weight,
        sum(weight) filter (where is_first and is_elsewhere) as elsewhere_weight,
        sum(weight) filter (where is_first and is_offshore) as offshore_weight,
        count(distinct site_code) filter (where is_open) as open_sites
    from stops
    group by route_code, market, band
),

first_choices as (
    select
        coalesce(max(100.0 * closed_weight / first_weight), 0) as most_closed_percent,
        (array_agg(route_code || ' ' || band order by closed_weight / first_weight desc nulls last, route_code))[1]
            as most_closed_route,
        coalesce(max(100.0 * elsewhere_weight / first_weight) filter (where band = 'open'), 0)
            as most_elsewhere_percent,
        (
            array_agg(route_code order by elsewhere_weight / first_weight desc nulls last, route_code)
            filter (where band = 'open')
        )[1
        ] as most_elsewhere_zone,
        coalesce(max(100.0 * offshore_weight / first_weight) filter (where band = 'open'), 0) as most_offshore_percent,
        (
            array_agg(route_code order by offshore_weight / first_weight desc nulls last, route_code)
            filter (where band = 'open')
        )[1
        ] as most_offshore_route,
        string_agg(distinct route_code, ', ') filter (where band = 'open' and open_sites < 2) as lone_routes
    from bands
),

sites as (
    select
        string_agg(distinct stops.site_code, ', ') filter (where not stops.is_open) as closed_sites,
        case
            when not bool_and(samples.is_sample)
                then
                    string_agg(distinct stops.site_code, ', ') filter (where samples.is_sample)
        end as sample_sites
    from stops
    left join samples on stops.site_code = samples.site_code
),

addresses as (
    select string_agg(shared.site_codes, '; ' order by shared.site_codes) as shared_addresses
    from (
        select
            string_agg(sites.site_code, ' and ' order by sites.site_code) || ' at ' || sites.sip_address as site_codes
        from marts.routing_sites as sites
        cross join release
        where
            sites.valid_from <= release.effective_date
            and coalesce(sites.valid_to, 'infinity') > release.effective_date
        group by sites.sip_address
        having count(*) > 1
    ) as shared
),

weights as (
    select string_agg(distinct uneven.label, ', ' order by uneven.label) as uneven_weights
    from (
        select route_code || ' ' || band || ' ' || priority as label
        from stops
        group by route_code, market, band, priority
        having sum(weight) <> 100
    ) as uneven
)

select
    first_choices.most_closed_percent,
    first_choices.most_closed_route,
    first_choices.most_elsewhere_percent,
    first_choices.most_elsewhere_zone,
    first_choices.most_offshore_percent,
    first_choices.most_offshore_route,
    first_choices.lone_routes,
    sites.closed_sites,
    sites.sample_sites,
    addresses.shared_addresses,
    weights.uneven_weights
from first_choices
cross join sites
cross join addresses
cross join weights
