{%- set windows = ['boutique_visits', 'repeat_visit_7d', 'call_after_visit_7d', 'visit_after_call_7d'] -%}

with months as (
    select * from {{ ref('agg_boutique_months') }}
),

boutiques as (
    select * from {{ ref('dim_boutique') }}
),

final_counts as (
    select
        periods.period_start_date,
        periods.period_end_date - periods.period_start_date + 1 as date_count,
    {% for window in windows -%}
        count(*) filter (where figure_window = '{{ window }}') as {{ window }}_final_count{{ ',' if not loop.last }}
    {% endfor %}
    from (select distinct period_start_date, period_end_date from months) as periods
    left join {{ ref('mart_finality_daily') }} as finality
        on finality.business_date between periods.period_start_date and periods.period_end_date
        and finality.status = 'final'
    group by periods.period_start_date, periods.period_end_date
),

with_finality as (
    select
        months.period_start_date,
        months.period_end_date,
        months.boutique_code,
        boutiques.boutique_name,
        months.directorate_code,
        months.region_code,
        months.day_count,
        months.visit_count,
        months.served_count,
        months.sale_count,
        months.left_unserved_count,
        months.wait_served_count,
        months.wait_served_seconds,
        months.p50_wait_minutes,
        months.p95_wait_minutes,
        months.survey_count,
        months.satisfied_count,
        months.customer_visit_count,
        months.repeat_visit_7d_count,
        months.visit_after_call_7d_count,
        months.call_after_visit_7d_count,
    {% for window in windows -%}
        {{ window }}_final_count = final_counts.date_count as is_{{ window }}_final{{ ',' if not loop.last }}
    {% endfor %}
    from months
    inner join final_counts on months.period_start_date = final_counts.period_start_date
    left join boutiques on months.boutique_code = boutiques.boutique_code
),

final as (
    {{ named('with_finality') }}
)

select * from final
