with boutiques as (
    select * from {{ ref('int_boutiques') }}
    where valid_to = 'infinity'
),

homes as (
    select * from {{ ref('int_homes') }}
),

directorates as (
    select * from {{ ref('directorates') }}
),

final as (
    select
        boutiques.boutique_code,
        boutiques.boutique_name,
        boutiques.department_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        directorates.directorate_name,
        boutiques.opened_on,
        boutiques.closed_on,
        boutiques.snapshot_date
    from boutiques
    left join homes
        on boutiques.department_code = homes.home_key
        and boutiques.snapshot_date >= homes.valid_from
        and boutiques.snapshot_date < homes.valid_to
    left join directorates on homes.directorate_code = directorates.directorate_code
)

select * from final
