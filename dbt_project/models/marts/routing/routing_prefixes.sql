with prefix_homes as (
    select * from {{ ref('int_prefix_homes') }}
),

homes as (
    select * from {{ ref('int_homes') }}
),

snapshots as (
    select distinct snapshot_date, valid_to from prefix_homes
),

first_homes as (
    select min(valid_from) as first_date from homes
),

-- Zones may be redrawn between two snapshots: the snapshot in force is then repeated under the day of the change.
changes as (
    select snapshot_date as starts_on, snapshot_date from snapshots
    union
    select homes.valid_from, snapshots.snapshot_date
    from homes
    inner join snapshots
        on homes.valid_from > snapshots.snapshot_date
        and homes.valid_from < snapshots.valid_to
),

final as (
    select
        changes.starts_on as snapshot_date,
        prefix_homes.prefix,
        coalesce(homes.zone_code, '*') as zone_code
    from changes
    inner join prefix_homes on changes.snapshot_date = prefix_homes.snapshot_date
    cross join first_homes
    left join homes
        on prefix_homes.home_key = homes.home_key
        and greatest(changes.starts_on, first_homes.first_date) >= homes.valid_from
        and greatest(changes.starts_on, first_homes.first_date) < homes.valid_to
)

select * from final
