with visits as (
    select *
    from {{ all_dates('fct_boutique_visits') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

final as (
    select
        business_date,
        directorate_code,
        region_code,
        boutique_code,
        case when wait_seconds is not null then least(ceil(wait_seconds / 60), 60)::integer end as wait_minutes,
        count(*) as visit_count,
        count(*) filter (where outcome in ('served', 'sale')) as served_count,
        count(*) filter (where outcome = 'sale') as sale_count,
        count(*) filter (where outcome = 'left_unserved') as left_unserved_count,
        count(wait_seconds) as wait_served_count,
        coalesce(sum(wait_seconds), 0)::numeric(16, 6) as wait_served_seconds,
        count(satisfaction) as survey_count,
        count(*) filter (where satisfaction >= 4) as satisfied_count
    from visits
    group by 1, 2, 3, 4, 5
)

select * from final
