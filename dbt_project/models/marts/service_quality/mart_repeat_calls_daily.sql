with answers as (
    select *
    from {{ ref('mart_answers_by_reason_daily') }}
    where
        identified_answered_count > 0
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
),

added_up as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        reason_code,
        sum(identified_answered_count)::bigint as identified_answered_count,
        sum(repeat_1d_count)::bigint as repeat_1d_count,
        sum(repeat_7d_count)::bigint as repeat_7d_count,
        sum(repeat_30d_count)::bigint as repeat_30d_count,
        sum(repeat_7d_same_reason_count)::bigint as repeat_7d_same_reason_count
    from answers
    group by business_date, directorate_code, region_code, market, reason_code
),

final as (
    {{ named('added_up', of=['directorate', 'region', 'reason'], windows=['repeat_1d', 'repeat_7d', 'repeat_30d']) }}
)

select * from final
