with roots as (
    select business_date, call_id, row_identity, leg_count
    from {{ ref('int_call_roots') }}
),

final as (
    select
        later.business_date,
        later.call_id,
        min(earlier.business_date) as kept_business_date,
        min(later.leg_count) as leg_count
    from roots as later
    inner join roots as earlier
        on later.row_identity = earlier.row_identity
        and later.call_id = earlier.call_id
        and later.business_date > earlier.business_date
    {% if is_incremental() -%}
        where {{ is_changed('later.business_date') }}
    {%- endif %}
    group by later.business_date, later.call_id
)

select * from final
