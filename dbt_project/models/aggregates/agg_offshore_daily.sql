with answers as (
    select
        *,
        case
            when partner_site_code = 'none' then 'none'
            when answered_by = 'offshore_in_hours' then 'overflow'
            else hour_band
        end as cause
    from {{ ref('mart_answers_by_reason_daily') }}
    where
        answered_by <> 'unknown'
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
),

final as (
    select
        business_date,
        directorate_code,
        region_code,
        partner_site_code,
        cause,
        sum(answered_count)::bigint as answered_count,
        sum(handle_seconds)::bigint as handle_seconds
    from answers
    group by business_date, directorate_code, region_code, partner_site_code, cause
)

select * from final
