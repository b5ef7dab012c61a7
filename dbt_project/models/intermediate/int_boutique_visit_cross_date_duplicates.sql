with visits as (
    select business_date, visit_id, row_identity
    from {{ ref('int_boutique_visits') }}
),

final as (
    select
        later.business_date,
        later.visit_id,
        min(earlier.business_date) as kept_business_date
    from visits as later
    inner join visits as earlier
        on later.row_identity = earlier.row_identity
        and later.visit_id = earlier.visit_id
        and later.business_date > earlier.business_date
    {% if is_incremental() -%}
        where {{ is_changed('later.business_date') }}
    {%- endif %}
    group by later.business_date, later.visit_id
)

select * from final
