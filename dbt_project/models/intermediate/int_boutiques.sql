with boutiques as (
    select * from {{ ref('stg_boutiques__boutiques') }}
),

snapshots as (
    select distinct snapshot_date from boutiques
),

-- A snapshot governs the dates until the next one, and the earliest also those before it.
periods as (
    select
        snapshot_date,
        case
            when lag(snapshot_date) over (order by snapshot_date) is null then '-infinity'
            else snapshot_date
        end as valid_from,
        coalesce(lead(snapshot_date) over (order by snapshot_date), 'infinity') as valid_to
    from snapshots
),

final as (
    select
        boutiques.snapshot_date,
        boutiques.boutique_code,
        boutiques.boutique_name,
        boutiques.department_code,
        boutiques.opened_on,
        boutiques.closed_on,
        periods.valid_from,
        periods.valid_to
    from boutiques
    inner join periods on boutiques.snapshot_date = periods.snapshot_date
)

select * from final
