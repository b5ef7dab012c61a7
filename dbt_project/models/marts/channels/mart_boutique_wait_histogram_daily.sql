with visits as (
    select *
    from {{ all_dates('fct_boutique_visits') }}
    where
        wait_seconds is not null
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
),

counted as (
    select
        business_date,
        directorate_code,
        region_code,
        least(ceil(wait_seconds / 10) * 10, 3600)::integer as wait_seconds,
        count(*) as visit_count
    from visits
    group by 1, 2, 3, 4
),

final as (
    {{ named('counted') }}
)

select * from final
