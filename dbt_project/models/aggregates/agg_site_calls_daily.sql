with calls as (
    select *
    from {{ all_dates('fct_calls') }}
    where
        outcome = 'answered'
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
),

final as (
    select
        business_date,
        coalesce(site_code, 'unknown') as site_code,
        count(*) as answered_count,
        sum(handle_seconds)::bigint as handle_seconds,
        count(satisfaction) as survey_count,
        count(*) filter (where satisfaction >= 4) as satisfied_count
    from calls
    group by 1, 2
)

select * from final
