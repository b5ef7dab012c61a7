-- Go-lives to come, seen early enough to fix them; up to five of a kind are named.
with release as (
    select
        %(business_date)s::date + 1 as effective_date,
        (date_trunc('month', %(business_date)s::date + 1) + interval '4 months')::date as horizon_date
),

upcoming as (
    select
        plan.*,
        plan.zone_code || ' ' || plan.market || ' on ' || plan.planned_go_live_date as label
    from marts.routing_rollout as plan
    cross join release
    where plan.planned_go_live_date >= release.effective_date and plan.withdrawn_on is null
),

go_lives as (
    select
        (array_agg(upcoming.label order by upcoming.planned_go_live_date, upcoming.label) filter (
            where upcoming.planned_go_live_date < release.horizon_date and not exists (
                select from marts.routing_windows as windows
                where windows.zone_code = upcoming.zone_code and windows.local_date = upcoming.planned_go_live_date
            )
        ))[1:5] as closed,
        (array_agg(upcoming.label order by upcoming.planned_go_live_date, upcoming.label) filter (
            where exists (
                select from marts.routing_freeze_windows as freezes
                where
                    upcoming.planned_go_live_date::timestamp at time zone 'Europe/Paris' >= freezes.starts_at
                    and upcoming.planned_go_live_date::timestamp at time zone 'Europe/Paris' < freezes.ends_at
            )
        ))[1:5] as frozen,
        (array_agg(upcoming.label order by upcoming.planned_go_live_date, upcoming.label) filter (
            where upcoming.planned_go_live_date <= release.effective_date + 14 and not exists (
                select from marts.routing_routes as routes
                inner join marts.routing_sites as sites on routes.site_code = sites.site_code
                where
                    routes.route_code = upcoming.zone_code and routes.market in (upcoming.market, '*')
                    and routes.band = 'open' and routes.priority = 1
                    and sites.valid_from <= upcoming.planned_go_live_date
                    and coalesce(sites.valid_to, 'infinity') > upcoming.planned_go_live_date
            )
        ))[1:5] as unprepared
    from upcoming
    cross join release
)

select
    array_to_string(closed, ', ') as go_lives_when_closed,
    array_to_string(frozen, ', ') as go_lives_when_frozen,
    array_to_string(unprepared, ', ') as go_lives_unprepared
from go_lives
