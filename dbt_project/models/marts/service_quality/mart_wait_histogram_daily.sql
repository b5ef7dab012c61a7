with calls as (
    select *
    from {{ all_dates('fct_calls') }}
    where
        outcome = 'answered'
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
),

counted as (
    select
        business_date,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        market,
        least(ceil(wait_seconds), 3600)::integer as wait_seconds,
        count(*) as answered_count
    from calls
    group by 1, 2, 3, 4, 5
),

final as (
    {{ named('counted') }}
)

select * from final
