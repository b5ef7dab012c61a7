with answers as (
    select *
    from {{ ref('mart_answers_by_site_daily') }}
    where
        site_code <> 'none'
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
),

final as (
    select
        business_date,
        site_code,
        sum(answered_count)::bigint as answered_count,
        sum(handle_seconds)::bigint as handle_seconds,
        sum(survey_count)::bigint as survey_count,
        sum(satisfied_count)::bigint as satisfied_count
    from answers
    group by business_date, site_code
)

select * from final
