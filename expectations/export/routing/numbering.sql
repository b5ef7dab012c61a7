-- Prefixes and numbers that the release sends to zones. Shares and changes need a sample: 100 prefixes or numbers.
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

-- In force, at place 1: the newest snapshot up to the effective date, else the earliest.
snapshots as (
    select
        deliveries.feed,
        deliveries.business_date,
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
        where snapshot_date > '0001-01-01' or not exists (
            select from snapshots
            where feed = 'numbering_plan'
        )
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
        case when count(*) >= 100 then 100.0 * count(*) filter (where zone_code = '*') / count(*) end
            as unzoned_percent,
        case
            when count(earlier_zone_code) >= 100
                then
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
        greatest(release.effective_date, min(snapshots.business_date)) as today,
        max(snapshots.business_date) filter (where snapshots.business_date < in_force.business_date) as before
    from release
    left join snapshots on snapshots.feed = 'line_assignments'
    left join snapshots as in_force on in_force.feed = 'line_assignments' and in_force.place = 1
    group by release.effective_date
),

-- One scan of what may be millions of numbers; expensive checks then run on groups of them.
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
    group by assignments.department_code, left(assignments.number, 4), length(assignments.number)
),

lines as (
    select
        coalesce(sum(numbers), 0) as numbers,
        sum(earlier_numbers) as earlier_numbers,
        sum(numbers) filter (
            where not exists (
                select from marts.routing_department_zones as known
                cross join release
                where
                    known.department_code = kinds.department_code
                    and known.valid_from <= release.effective_date
                    and coalesce(known.valid_to, 'infinity') > release.effective_date
            )
        ) as unknown_department_numbers,
        sum(numbers) filter (
            where (beginning !~ '^\+33[1-9]$' or length <> 12)
            and (beginning not in ('+262', '+590', '+594', '+596') or length <> 13)
        ) as foreign_numbers
    from kinds
)

select
    numbering.prefixes,
    numbering.unzoned_percent,
    numbering.rezoned_percent,
    unnumbered.unnumbered_zones,
    lines.numbers::bigint as numbers,
    lines.earlier_numbers::bigint as earlier_numbers,
    case when lines.earlier_numbers >= 100 then 100.0 * lines.numbers / lines.earlier_numbers end
        as percent_of_earlier_numbers,
    100.0 * coalesce(lines.unknown_department_numbers, 0) / case when lines.numbers >= 100 then lines.numbers end
        as unknown_department_percent,
    100.0
    * coalesce(lines.foreign_numbers, 0)
    / case when lines.numbers >= 100 then lines.numbers end as foreign_percent
from numbering
cross join unnumbered
cross join lines
