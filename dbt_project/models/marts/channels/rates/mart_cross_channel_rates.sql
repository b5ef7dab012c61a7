{%- set sums = [
    'customer_answered_count',
    'customer_visit_count',
    'customer_closed_count',
    'visit_after_call_7d_count',
    'call_after_visit_7d_count',
    'call_after_job_7d_count',
    'call_after_job_30d_count',
    'job_after_call_7d_count',
    'job_after_visit_7d_count',
] -%}
{%- set windows = [
    'visit_after_call_7d', 'call_after_visit_7d', 'call_after_job_7d', 'call_after_job_30d', 'job_after_call_7d',
    'job_after_visit_7d',
] -%}

{{ rolled_up_with_finality(
    'mart_cross_channel_daily',
    sums,
    windows,
    whole=['is_calls_complete', 'is_boutique_visits_complete', 'is_interventions_complete']
) }}

select
    period,
    period_start_date,
    period_end_date,
    area,
    area_code,
    day_count,
    is_visit_after_call_7d_final,
    is_call_after_visit_7d_final,
    is_call_after_job_7d_final,
    is_call_after_job_30d_final,
    customer_answered_count::bigint as customer_answered_count,
    customer_visit_count::bigint as customer_visit_count,
    customer_closed_count::bigint as customer_closed_count,
    {{ rate('cross_channel', 'visit_after_call_7d_rate') }} as visit_after_call_7d_rate,
    {{ rate('cross_channel', 'call_after_visit_7d_rate') }} as call_after_visit_7d_rate,
    {{ rate('cross_channel', 'call_after_job_7d_rate') }} as call_after_job_7d_rate,
    {{ rate('cross_channel', 'call_after_job_30d_rate') }} as call_after_job_30d_rate,
    visit_after_call_7d_count::bigint as visit_after_call_7d_count,
    call_after_visit_7d_count::bigint as call_after_visit_7d_count,
    call_after_job_7d_count::bigint as call_after_job_7d_count,
    call_after_job_30d_count::bigint as call_after_job_30d_count,
    is_whole_period,
    is_job_after_call_7d_final,
    is_job_after_visit_7d_final,
    {{ rate('cross_channel', 'job_after_call_7d_rate') }} as job_after_call_7d_rate,
    {{ rate('cross_channel', 'job_after_visit_7d_rate') }} as job_after_visit_7d_rate,
    job_after_call_7d_count::bigint as job_after_call_7d_count,
    job_after_visit_7d_count::bigint as job_after_visit_7d_count
from rolled
