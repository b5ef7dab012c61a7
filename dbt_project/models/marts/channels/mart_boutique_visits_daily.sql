{%- set of_visits = [
    'visit_count', 'served_count', 'sale_count', 'left_unserved_count', 'wait_served_count', 'survey_count', 'satisfied_count',
] -%}
{%- set of_customers = [
    'customer_visit_count', 'call_after_visit_7d_count', 'repeat_visit_7d_count',
] -%}

with visits as (
    select *
    from {{ ref('agg_boutique_waits_daily') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

customers as (
    select *
    from {{ ref('agg_calls_and_visits_daily') }}
    where
        customer_visit_count > 0
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
),

summed as (
    select
        business_date,
        directorate_code,
        region_code,
        boutique_code,
        sum(wait_served_seconds)::numeric(16, 6) as wait_served_seconds,
    {% for column in of_visits -%}
        sum({{ column }})::bigint as {{ column }}{{ ',' if not loop.last }}
    {% endfor %}
    from visits
    group by business_date, directorate_code, region_code, boutique_code
),

counted as (
    select
        summed.*,
    {% for column in of_customers -%}
        coalesce(customers.{{ column }}, 0) as {{ column }}{{ ',' if not loop.last }}
    {% endfor %}
    from summed
    left join customers
        on summed.business_date = customers.business_date
        and summed.directorate_code = customers.directorate_code
        and summed.region_code = customers.region_code
        and summed.boutique_code = customers.boutique_code
),

final as (
    {{ named('counted', windows=['repeat_visit_7d', 'call_after_visit_7d']) }}
)

select * from final
