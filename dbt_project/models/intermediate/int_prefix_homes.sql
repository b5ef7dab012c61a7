with prefixes as (
    select * from {{ ref('stg_numbering_plan__prefixes') }}
),

numbering_default as (
    select * from {{ ref('numbering_default') }}
),

regions as (
    select * from {{ ref('regions') }}
),

-- The first snapshot is the default alone: it governs where no other snapshot exists.
snapshots as (
    select distinct snapshot_date from prefixes
    union all
    select date '0001-01-01' as snapshot_date
),

listed as (
    select
        prefixes.snapshot_date,
        prefixes.prefix,
        coalesce(prefixes.department_code, 'region ' || regions.region_code) as home_key
    from prefixes
    left join regions on prefixes.region_name = regions.region_name
),

defaulted as (
    select
        snapshots.snapshot_date,
        numbering_default.prefix,
        'region ' || numbering_default.region_code as home_key
    from snapshots
    cross join numbering_default
    left join prefixes
        on snapshots.snapshot_date = prefixes.snapshot_date
        and numbering_default.prefix = prefixes.prefix
    where prefixes.prefix is null
),

homes as (
    select * from listed
    union all
    select * from defaulted
),

-- A snapshot governs the dates until the next one, and the earliest also those before it.
periods as (
    select
        snapshot_date,
        case
            when snapshot_date = min(snapshot_date) filter (where snapshot_date > '0001-01-01') over ()
                then '-infinity'
            else snapshot_date
        end as valid_from,
        case
            when snapshot_date = '0001-01-01' and count(*) over () > 1 then '-infinity'
            else coalesce(lead(snapshot_date) over (order by snapshot_date), 'infinity')
        end as valid_to
    from snapshots
),

final as (
    select
        homes.snapshot_date,
        homes.prefix,
        homes.home_key,
        periods.valid_from,
        periods.valid_to
    from homes
    inner join periods on homes.snapshot_date = periods.snapshot_date
)

select * from final
