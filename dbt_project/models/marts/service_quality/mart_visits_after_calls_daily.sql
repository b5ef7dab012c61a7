with contacts as (
    select *
    from {{ ref('agg_calls_and_visits_daily') }}
    where
        customer_answered_count > 0
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
),

counted as (
    select
        business_date,
        directorate_code,
        region_code,
        reason_code,
        answered_by,
        coalesce(boutique_code, 'none') as boutique_code,
        customer_answered_count,
        visit_after_call_7d_count
    from contacts
),

final as (
    {{ named('counted', of=['directorate', 'region', 'reason'], windows=['visit_after_call_7d']) }}
)

select * from final
