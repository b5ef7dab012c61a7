with directorates as (
    select * from {{ ref('directorates') }}
),

final as (
    select
        directorate_code,
        directorate_name,
        true as is_known
    from directorates
    union all
    select
        'unknown' as directorate_code,
        'Unknown' as directorate_name,
        false as is_known
)

select * from final
