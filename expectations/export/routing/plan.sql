-- The plan of the rollout against the zones, the routes and the plan before. What is named is null where there is
-- nothing to name. A share of changed rows needs a sample: 10 rows of the plan.
with release as (
    select %(business_date)s::date + 1 as effective_date
),

zones as (
    select distinct department_zones.zone_code
    from marts.routing_department_zones as department_zones
    cross join release
    where
        department_zones.valid_from <= release.effective_date
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
    cross join
        lateral jsonb_to_recordset(releases.rollout)
            as planned (
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

planned_markets as (
    select distinct market from plan
),

unplanned as (
    select
        string_agg(zones.zone_code || ' ' || markets.market, ', ' order by zones.zone_code, markets.market)
            as unplanned_zones
    from zones
    cross join planned_markets as markets
    left join plan on zones.zone_code = plan.zone_code and markets.market = plan.market
    where zones.zone_code <> '*' and plan.zone_code is null
),

waves as (
    select
        wave::integer as wave,
        market,
        min(planned) as first_date,
        max(planned) as last_date
    from
        unnest(
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
)

select
    planned.earliest_plan_year,
    planned.latest_plan_date - release.effective_date as latest_plan_days_ahead,
    planned.withdrawn_before_live,
    planned.unserved_markets,
    unplanned.unplanned_zones,
    incoherent_waves.incoherent_waves,
    100.0 * replanned.changed_rows / case when replanned.last_plan_rows >= 10 then replanned.last_plan_rows end
        as replanned_percent,
    replanned.changed_rows as replanned_rows,
    replanned.unplanned_live
from release
cross join planned
cross join unplanned
cross join incoherent_waves
cross join replanned
