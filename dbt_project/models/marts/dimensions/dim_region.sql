with regions as (
    select * from {{ ref('regions') }}
),

final as (
    select region_code, region_name, is_overseas, true as is_known
    from regions
    union all
    select 'unknown', 'Unknown', null, false
)

select * from final
