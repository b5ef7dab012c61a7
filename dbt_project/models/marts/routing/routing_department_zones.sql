with homes as (
    select * from {{ ref('int_homes') }}
),

-- Every department that a feed may name, Corsica's old code and what lies outside PARC included.
final as (
    select
        home_key as department_code,
        zone_code,
        valid_from,
        nullif(valid_to, 'infinity') as valid_to
    from homes
    where is_department
)

select * from final
