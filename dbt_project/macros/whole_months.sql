{#- The months of which every date has its calls, as a query. -#}
{% macro whole_months_of_calls() %}
    select date_trunc('month', business_date::timestamp)::date as month_start_date
    from {{ ref('mart_finality_daily') }}
    where figure_window = 'calls' and status = 'final'
    group by 1
    having count(*) = extract(day from date_trunc('month', min(business_date)::timestamp) + interval '1 month - 1 day')
{% endmacro %}
