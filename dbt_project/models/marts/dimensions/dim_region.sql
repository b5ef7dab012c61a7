with regions as (
    select * from {{ ref('regions') }}
),

final as (
    select
        region_code,
        region_name,
        is_overseas,
        true as is_known
    from regions
    union all
    select
        'unknown' as region_code,
        'Unknown' as region_name,
        null as is_overseas,
        false as is_known
)

select * from final
