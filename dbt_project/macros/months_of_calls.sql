{#- By month and figure window of calls: whether it is final on all dates so far, and whether no date is missing. -#}
{% macro months_of_calls() %}
    select
        date_trunc('month', finality.business_date::timestamp)::date as month_start_date,
        finality.figure_window,
        bool_and(finality.status = 'final') as is_final,
        count(calls.business_date)
        = extract(day from date_trunc('month', min(finality.business_date)::timestamp) + interval '1 month - 1 day')
            as is_whole_period
    from {{ ref('mart_finality_daily') }} as finality
    left join {{ ref('mart_finality_daily') }} as calls
        on finality.business_date = calls.business_date
        and calls.figure_window = 'calls'
        and calls.status = 'final'
    group by 1, 2
{% endmacro %}
