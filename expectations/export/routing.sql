-- One row of measures for what the routing release of a business date is made of; it takes effect the day after.
-- Shares and changes need a sample: 100 prefixes or numbers, 10 rows of the plan. What is named is named up to five
-- times, and null where there is nothing to name. Routes are judged where calls take them on the effective date: those
-- of the zones that are live by the plan, and the national one.
with release as (
    select
        %(business_date)s::date as business_date,
        %(business_date)s::date + 1 as effective_date,
        (date_trunc('month', %(business_date)s::date + 1) + interval '4 months')::date as horizon_date
),

calendar as (
    select
        due.feed,
        due.due_date
    from release
    cross join lateral (
        select
            feeds.feed,
            feeds.first_due_date,
            ops.due_date(feeds.cadence, release.business_date) as due_date
        from unnest(
            %(calendar_feeds)s::text[], %(calendar_cadences)s::text[], %(calendar_first_dates)s::date[]
        ) as feeds (feed, cadence, first_due_date)
    ) as due
    where due.due_date >= due.first_due_date
),

-- In force: the newest snapshot up to the effective date, else the earliest; before it, the one that it took over from.
snapshots as (
    select
        deliveries.feed,
        deliveries.business_date,
        deliveries.delivery_id,
        deliveries.rows_published,
        deliveries.built_in,
        row_number() over (
            partition by deliveries.feed
            order by
                deliveries.business_date <= release.effective_date desc,
                abs(deliveries.business_date - release.effective_date) asc
        ) as place
    from ops.delivery as deliveries
    cross join release
    where deliveries.status = 'published' and deliveries.feed in ('numbering_plan', 'line_assignments')
),

deliveries as (
    select
        feeds.feed,
        in_force.business_date as snapshot_date,
        calendar.due_date,
        greatest(calendar.due_date - in_force.business_date, 0) as days_behind,
        in_force.rows_published,
        earlier.business_date as earlier_date,
        earlier.rows_published as earlier_rows,
        case
            when in_force.built_in is null
                then feeds.feed || ' ' || in_force.business_date || ' (delivery ' || in_force.delivery_id || ')'
        end as unbuilt
    from (values ('numbering_plan'), ('line_assignments')) as feeds (feed)
    left join calendar on feeds.feed = calendar.feed
    left join snapshots as in_force on feeds.feed = in_force.feed and in_force.place = 1
    left join lateral (
        select
            snapshots.business_date,
            snapshots.rows_published
        from snapshots
        where snapshots.feed = feeds.feed and snapshots.business_date < in_force.business_date
        order by snapshots.business_date desc
        limit 1
    ) as earlier on true
),

seeds as (
    select string_agg(seed.name, ', ' order by seed.name) as unbuilt_seeds
    from unnest(%(seed_names)s::text[], %(seed_digests)s::text[]) as seed (name, digest)
    left join ops.seed_version as built on seed.name = built.seed
    where built.sha256 is distinct from seed.digest
),

last_build as (
    select
        'the last build, ' || build_id || ', '
        || case status when 'failed' then 'failed' when 'running' then 'is running' when 'published' then 'was without them'
            else 'did not end' end as what
    from ops.build
    order by build_id desc
    limit 1
),

zones as (
    select distinct department_zones.zone_code
    from marts.routing_department_zones as department_zones
    cross join release
    where department_zones.valid_from <= release.effective_date
        and coalesce(department_zones.valid_to, 'infinity') > release.effective_date
),

plan as (
    select
        rollout.*,
        rollout.planned_go_live_date <= release.effective_date
        and coalesce(rollout.withdrawn_on, 'infinity') > release.effective_date as is_live
    from marts.routing_rollout as rollout
    cross join release
),

live as (
    select * from plan
    where is_live
),

services as (
    select distinct market from marts.routing_services
),

-- The plan that the table on the switch was made by; unknown after an emergency and after adopted drift.
last_plan as (
    select
        planned.zone_code,
        planned.market,
        planned.planned_go_live_date,
        planned.withdrawn_on,
        planned.planned_go_live_date <= releases.effective_date
        and coalesce(planned.withdrawn_on, 'infinity') > releases.effective_date as was_live
    from ops.routing_release as releases
    cross join lateral jsonb_to_recordset(releases.rollout) as planned (
        zone_code text, market text, planned_go_live_date date, withdrawn_on date
    )
    where releases.release_id = (
        select min(made.release_id)
        from ops.routing_release as made
        where made.rollout is not null and made.version = (
            select activated.version
            from ops.routing_release_event as events
            inner join ops.routing_release as activated on events.release_id = activated.release_id
            where events.event = 'activated'
            order by events.event_id desc
            limit 1
        )
    )
),

replanned as (
    select
        count(*) as last_plan_rows,
        count(*) filter (
            where (last_plan.planned_go_live_date, last_plan.withdrawn_on)
                is distinct from (plan.planned_go_live_date, plan.withdrawn_on)
        ) as changed_rows,
        string_agg(last_plan.zone_code || ' ' || last_plan.market, ', ' order by last_plan.zone_code, last_plan.market)
            filter (
                where last_plan.was_live and (
                    plan.zone_code is null or plan.planned_go_live_date > release.effective_date
                )
            ) as unplanned_live
    from last_plan
    cross join release
    left join plan on last_plan.zone_code = plan.zone_code and last_plan.market = plan.market
),

planned as (
    select
        extract(year from min(least(plan.planned_go_live_date, plan.withdrawn_on)))::integer as earliest_plan_year,
        max(greatest(plan.planned_go_live_date, plan.withdrawn_on)) as latest_plan_date,
        string_agg(plan.zone_code || ' ' || plan.market, ', ' order by plan.zone_code, plan.market)
            filter (where plan.withdrawn_on <= plan.planned_go_live_date) as withdrawn_before_live,
        string_agg(distinct plan.market, ', ') filter (where services.market is null) as unserved_markets
    from plan
    left join services on plan.market = services.market
),

unplanned as (
    select string_agg(zones.zone_code || ' ' || markets.market, ', ' order by zones.zone_code, markets.market) as unplanned_zones
    from zones
    cross join (select distinct market from plan) as markets
    left join plan on zones.zone_code = plan.zone_code and markets.market = plan.market
    where zones.zone_code <> '*' and plan.zone_code is null
),

waves as (
    select
        wave::integer as wave,
        market,
        min(planned) as first_date,
        max(planned) as last_date
    from unnest(
        %(plan_waves)s::text[], %(plan_markets)s::text[], %(plan_dates)s::date[]
    ) as rows (wave, market, planned)
    group by wave, market
),

incoherent_waves as (
    select string_agg(distinct problem, ', ' order by problem) as incoherent_waves
    from (
        select 'wave ' || wave || ' from ' || min(first_date) || ' to ' || max(last_date) as problem
        from waves
        group by wave
        having min(first_date) < max(last_date)
        union all
        select 'wave ' || later.wave || ' before wave ' || earlier.wave || ' (' || later.market || ')'
        from waves as earlier
        inner join waves as later
            on earlier.market = later.market and earlier.wave < later.wave and earlier.last_date > later.first_date
    ) as found
),

-- Go-lives to come, seen early enough to mend them.
coming as (
    select
        plan.*,
        plan.zone_code || ' ' || plan.market || ' on ' || plan.planned_go_live_date as label
    from plan
    cross join release
    where plan.planned_go_live_date >= release.effective_date and plan.withdrawn_on is null
),

go_lives as (
    select
        (array_agg(coming.label order by coming.planned_go_live_date, coming.label) filter (
            where coming.planned_go_live_date < release.horizon_date and not exists (
                select from marts.routing_windows as windows
                where windows.zone_code = coming.zone_code and windows.local_date = coming.planned_go_live_date
            )
        ))[1:5] as closed,
        (array_agg(coming.label order by coming.planned_go_live_date, coming.label) filter (
            where exists (
                select from marts.routing_freeze_windows as freezes
                where coming.planned_go_live_date::timestamp at time zone 'Europe/Paris' >= freezes.starts_at
                    and coming.planned_go_live_date::timestamp at time zone 'Europe/Paris' < freezes.ends_at
            )
        ))[1:5] as frozen,
        (array_agg(coming.label order by coming.planned_go_live_date, coming.label) filter (
            where coming.planned_go_live_date <= release.effective_date + 14 and not exists (
                select from marts.routing_routes as routes
                inner join marts.routing_sites as sites on routes.site_code = sites.site_code
                where routes.route_code = coming.zone_code and routes.market in (coming.market, '*')
                    and routes.band = 'open' and routes.priority = 1
                    and sites.valid_from <= coming.planned_go_live_date
                    and coalesce(sites.valid_to, 'infinity') > coming.planned_go_live_date
            )
        ))[1:5] as unprepared
    from coming
    cross join release
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
        routes.priority = min(routes.priority) over (partition by used.route_code, used.market, routes.band) as is_first,
        routes.site_code,
        routes.weight,
        sites.valid_from <= release.effective_date and coalesce(sites.valid_to, 'infinity') > release.effective_date
            as is_open,
        coalesce(sites.is_offshore, false) as is_offshore,
        used.route_code <> 'national' and sites.directorate_code is distinct from directorates.directorate_code
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
        coalesce(max(100.0 * elsewhere_weight / first_weight) filter (where band = 'open'), 0) as most_elsewhere_percent,
        (array_agg(route_code order by elsewhere_weight / first_weight desc nulls last, route_code)
            filter (where band = 'open'))[1] as most_elsewhere_zone,
        coalesce(max(100.0 * offshore_weight / first_weight) filter (where band = 'open'), 0) as most_offshore_percent,
        (array_agg(route_code order by offshore_weight / first_weight desc nulls last, route_code)
            filter (where band = 'open'))[1] as most_offshore_route,
        string_agg(distinct route_code, ', ') filter (where band = 'open' and open_sites < 2) as lone_routes
    from bands
),

sites as (
    select
        string_agg(distinct stops.site_code, ', ') filter (where not stops.is_open) as closed_sites,
        case when not bool_and(samples.is_sample) then
            string_agg(distinct stops.site_code, ', ') filter (where samples.is_sample)
        end as sample_sites
    from stops
    left join samples on stops.site_code = samples.site_code
),

addresses as (
    select string_agg(shared.site_codes, '; ' order by shared.site_codes) as shared_addresses
    from (
        select string_agg(sites.site_code, ' and ' order by sites.site_code) || ' at ' || sites.sip_address as site_codes
        from marts.routing_sites as sites
        cross join release
        where sites.valid_from <= release.effective_date and coalesce(sites.valid_to, 'infinity') > release.effective_date
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
),

-- Snapshots as the release reads them: with the default added (alone where there is none), repeated where zones were
-- redrawn.
prefix_dates as (
    select
        snapshot_date,
        lag(snapshot_date) over (order by snapshot_date) as earlier_date,
        row_number() over (
            order by snapshot_date <= effective_date desc, abs(snapshot_date - effective_date) asc
        ) as place
    from (
        select distinct snapshot_date
        from marts.routing_prefixes
        where snapshot_date > '0001-01-01' or not exists (select from snapshots where feed = 'numbering_plan')
    ) as dates
    cross join release
),

prefixes as (
    select
        prefixes.prefix,
        prefixes.zone_code,
        earlier.zone_code as earlier_zone_code
    from prefix_dates
    inner join marts.routing_prefixes as prefixes on prefix_dates.snapshot_date = prefixes.snapshot_date
    left join marts.routing_prefixes as earlier
        on prefixes.prefix = earlier.prefix and prefix_dates.earlier_date = earlier.snapshot_date
    where prefix_dates.place = 1
),

numbering as (
    select
        count(*) as prefixes,
        case when count(*) >= 100 then 100.0 * count(*) filter (where zone_code = '*') / count(*) end as unzoned_percent,
        case when count(earlier_zone_code) >= 100 then
            100.0 * count(*) filter (where zone_code <> earlier_zone_code) / count(earlier_zone_code)
        end as rezoned_percent
    from prefixes
),

unnumbered as (
    select string_agg(distinct zone_code, ', ') as unnumbered_zones
    from live
    where zone_code not in (select prefixes.zone_code from prefixes)
),

instants as (
    select
        greatest(
            release.effective_date,
            (select min(snapshots.business_date) from snapshots where snapshots.feed = 'line_assignments')
        ) as today,
        deliveries.earlier_date as before
    from release
    inner join deliveries on deliveries.feed = 'line_assignments'
),

-- One scan of what may be millions of numbers; what is dear is asked of their kinds.
kinds as (
    select
        assignments.department_code,
        left(assignments.number, 4) as beginning,
        length(assignments.number) as length,
        count(*) filter (
            where assignments.valid_from <= instants.today
                and coalesce(assignments.valid_to, 'infinity') > instants.today
        ) as numbers,
        count(*) filter (
            where assignments.valid_from <= instants.before
                and coalesce(assignments.valid_to, 'infinity') > instants.before
        ) as earlier_numbers
    from routing.line_assignment as assignments
    cross join instants
    group by 1, 2, 3
),

lines as (
    select
        coalesce(sum(numbers), 0) as numbers,
        sum(earlier_numbers) as earlier_numbers,
        sum(numbers) filter (
            where not exists (
                select from marts.routing_department_zones as known
                cross join release
                where known.department_code = kinds.department_code
                    and known.valid_from <= release.effective_date
                    and coalesce(known.valid_to, 'infinity') > release.effective_date
            )
        ) as unknown_department_numbers,
        sum(numbers) filter (
            where (beginning !~ '^\+33[1-9]$' or length <> 12)
                and (beginning not in ('+262', '+590', '+594', '+596') or length <> 13)
        ) as foreign_numbers
    from kinds
),

windows as (
    select
        windows.zone_code,
        windows.local_date,
        extract(epoch from windows.closes_at - windows.opens_at) / 3600 as hours
    from marts.routing_windows as windows
    cross join release
    where windows.local_date >= release.effective_date and windows.local_date < release.horizon_date
),

zone_windows as (
    select
        zones.zone_code,
        7 * coalesce(sum(windows.hours), 0) / min(release.horizon_date - release.effective_date) as weekly_hours,
        100 - 100.0
        * count(distinct windows.local_date) filter (where extract(isodow from windows.local_date) < 6)
        / nullif(min(weekdays.weekdays), 0) as closed_weekdays_percent
    from (select zone_code from zones union select '*') as zones
    cross join release
    cross join lateral (
        select count(*) as weekdays
        from generate_series(release.effective_date, release.horizon_date - 1, interval '1 day') as day
        where extract(isodow from day) < 6
    ) as weekdays
    left join windows on zones.zone_code = windows.zone_code
    group by zones.zone_code
),

hours as (
    select
        min(weekly_hours) as fewest_weekly_hours,
        (array_agg(zone_code order by weekly_hours, zone_code))[1] as fewest_hours_zone,
        max(closed_weekdays_percent) as most_closed_weekdays_percent,
        (array_agg(zone_code order by closed_weekdays_percent desc, zone_code))[1] as most_closed_zone
    from zone_windows
),

freezes as (
    select
        count(*) filter (where ends_at <= starts_at) as reversed_freezes,
        coalesce(max(extract(epoch from ends_at - starts_at) / 86400), 0) as longest_freeze_days
    from marts.routing_freeze_windows
)

select
    (select string_agg(unbuilt, ', ' order by feed desc) from deliveries) as unbuilt_deliveries,
    seeds.unbuilt_seeds,
    coalesce((select what from last_build), 'there was no build yet') as last_build,
    (
        select 'build ' || build_id from marts.published_build
        where build_id <> %(read_build_id)s::bigint
    ) as build_published_meanwhile,
    planned.earliest_plan_year,
    planned.latest_plan_date - release.effective_date as latest_plan_days_ahead,
    planned.withdrawn_before_live,
    planned.unserved_markets,
    unplanned.unplanned_zones,
    incoherent_waves.incoherent_waves,
    100.0 * replanned.changed_rows / case when replanned.last_plan_rows >= 10 then replanned.last_plan_rows end
        as replanned_percent,
    replanned.changed_rows as replanned_rows,
    replanned.unplanned_live,
    array_to_string(go_lives.closed, ', ') as go_lives_when_closed,
    array_to_string(go_lives.frozen, ', ') as go_lives_when_frozen,
    array_to_string(go_lives.unprepared, ', ') as go_lives_unprepared,
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
    weights.uneven_weights,
    to_char(plan_delivery.snapshot_date, 'YYYY-MM-DD') as numbering_snapshot,
    to_char(plan_delivery.due_date, 'YYYY-MM-DD') as numbering_due,
    case when plan_delivery.snapshot_date is null then 0 else 1 end as numbering_snapshots,
    plan_delivery.days_behind as numbering_days_behind,
    plan_delivery.rows_published as numbering_rows,
    plan_delivery.earlier_rows as earlier_numbering_rows,
    case when plan_delivery.earlier_rows >= 100 then
        100.0 * plan_delivery.rows_published / plan_delivery.earlier_rows
    end as percent_of_earlier_numbering,
    numbering.prefixes,
    numbering.unzoned_percent,
    numbering.rezoned_percent,
    unnumbered.unnumbered_zones,
    to_char(line_delivery.snapshot_date, 'YYYY-MM-DD') as assignments_snapshot,
    to_char(line_delivery.due_date, 'YYYY-MM-DD') as assignments_due,
    line_delivery.days_behind as assignments_days_behind,
    lines.numbers::bigint as numbers,
    lines.earlier_numbers::bigint as earlier_numbers,
    case when lines.earlier_numbers >= 100 then 100.0 * lines.numbers / lines.earlier_numbers end
        as percent_of_earlier_numbers,
    100.0 * coalesce(lines.unknown_department_numbers, 0) / case when lines.numbers >= 100 then lines.numbers end
        as unknown_department_percent,
    100.0 * coalesce(lines.foreign_numbers, 0) / case when lines.numbers >= 100 then lines.numbers end as foreign_percent,
    (select max(windows.hours) from windows) as longest_window_hours,
    hours.fewest_weekly_hours,
    hours.fewest_hours_zone,
    hours.most_closed_weekdays_percent,
    hours.most_closed_zone,
    freezes.reversed_freezes,
    freezes.longest_freeze_days
from release
cross join seeds
cross join planned
cross join unplanned
cross join incoherent_waves
cross join replanned
cross join go_lives
cross join first_choices
cross join sites
cross join addresses
cross join weights
cross join numbering
cross join unnumbered
cross join lines
cross join hours
cross join freezes
inner join deliveries as plan_delivery on plan_delivery.feed = 'numbering_plan'
inner join deliveries as line_delivery on line_delivery.feed = 'line_assignments'
