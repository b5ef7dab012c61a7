with units as (
    select * from {{ ref('intervention_units') }}
),

directorates as (
    select * from {{ ref('directorates') }}
),

final as (
    select
        units.unit_code,
        units.unit_name,
        units.directorate_code,
        directorates.directorate_name,
        units.is_sample
    from units
    left join directorates on units.directorate_code = directorates.directorate_code
)

select * from final
