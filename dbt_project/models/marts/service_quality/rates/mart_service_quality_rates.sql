{%- set sums = [
    'offered_count',
    'answered_count',
    'abandoned_count',
    'short_abandoned_count',
    'answered_within_20s_count',
    'wait_answered_seconds',
    'handle_seconds',
    'transferred_count',
    'identified_answered_count',
    'repeat_1d_count',
    'repeat_7d_count',
    'repeat_30d_count',
    'repeat_7d_same_reason_count',
    'repeat_7d_missed_count',
    'withheld_answered_count',
    'home_in_hours_count',
    'home_off_hours_count',
    'other_directorate_count',
    'offshore_in_hours_count',
    'offshore_off_hours_count',
    'other_site_count',
    'in_hours_known_answered_count',
    'resolved_by_customer_file_count',
    'resolved_by_line_assignment_count',
    'resolved_by_prefix_count',
    'prefix_compared_count',
    'prefix_disagreement_count',
    'survey_count',
    'satisfied_count',
    'recommend_count',
    'promoter_count',
    'detractor_count',
    'active_line_count',
] -%}
{%- set windows = ['calls', 'repeat_1d', 'repeat_7d', 'repeat_30d', 'call_rate'] -%}

with finality as (
    {{ finality_by_date(windows) }}
),

-- Inlined in each branch, so that one branch reads no other's rows.
daily as not materialized (
    select
        sums.*,
        coalesce(finality.is_calls_final, false) as is_calls_final,
        coalesce(finality.is_repeat_1d_final, false) as is_repeat_1d_final,
        coalesce(finality.is_repeat_7d_final, false) as is_repeat_7d_final,
        coalesce(finality.is_repeat_30d_final, false) as is_repeat_30d_final,
        coalesce(finality.is_call_rate_final, false) as is_call_rate_final
    from {{ ref('mart_service_quality_daily') }} as sums
    left join finality on sums.business_date = finality.business_date
),

rolled as (
    {{ rolled_up(
        'daily', sums,
        by='market',
        flags=[
            'is_calls_final', 'is_repeat_1d_final', 'is_repeat_7d_final', 'is_repeat_30d_final', 'is_call_rate_final'
        ],
        thirty_days=true
    ) }}
)

select
    period,
    period_start_date,
    period_end_date,
    area,
    area_code,
    market,
    day_count,
    is_calls_final,
    is_repeat_1d_final,
    is_repeat_7d_final,
    is_repeat_30d_final,
    is_call_rate_final,
    offered_count::bigint as offered_count,
    answered_count::bigint as answered_count,
    in_hours_known_answered_count::bigint as in_hours_known_answered_count,
    identified_answered_count::bigint as identified_answered_count,
    survey_count::bigint as survey_count,
    recommend_count::bigint as recommend_count,
    prefix_compared_count::bigint as prefix_compared_count,
    {{ rate('service_quality', 'abandonment_rate') }} as abandonment_rate,
    {{ rate('service_quality', 'service_level') }} as service_level,
    {{ rate('service_quality', 'answered_within_20s_rate') }} as answered_within_20s_rate,
    {{ rate('service_quality', 'mean_wait_seconds') }} as mean_wait_seconds,
    {{ rate('service_quality', 'mean_handle_seconds') }} as mean_handle_seconds,
    {{ rate('service_quality', 'transfer_rate') }} as transfer_rate,
    {{ rate('service_quality', 'home_region_rate') }} as home_region_rate,
    {{ rate('service_quality', 'home_in_hours_share') }} as home_in_hours_share,
    {{ rate('service_quality', 'home_off_hours_share') }} as home_off_hours_share,
    {{ rate('service_quality', 'other_directorate_share') }} as other_directorate_share,
    {{ rate('service_quality', 'offshore_in_hours_share') }} as offshore_in_hours_share,
    {{ rate('service_quality', 'offshore_off_hours_share') }} as offshore_off_hours_share,
    {{ rate('service_quality', 'other_site_share') }} as other_site_share,
    {{ rate('service_quality', 'region_resolved_rate') }} as region_resolved_rate,
    {{ rate('service_quality', 'resolved_by_customer_file_share') }} as resolved_by_customer_file_share,
    {{ rate('service_quality', 'resolved_by_line_assignment_share') }} as resolved_by_line_assignment_share,
    {{ rate('service_quality', 'resolved_by_prefix_share') }} as resolved_by_prefix_share,
    {{ rate('service_quality', 'prefix_disagreement_rate') }} as prefix_disagreement_rate,
    {{ rate('service_quality', 'withheld_share') }} as withheld_share,
    {{ rate('service_quality', 'repeat_1d_rate') }} as repeat_1d_rate,
    {{ rate('service_quality', 'repeat_7d_rate') }} as repeat_7d_rate,
    {{ rate('service_quality', 'repeat_30d_rate') }} as repeat_30d_rate,
    {{ rate('service_quality', 'repeat_7d_missed_rate') }} as repeat_7d_missed_rate,
    {{ rate('service_quality', 'first_contact_resolution') }} as first_contact_resolution,
    {{ rate('service_quality', 'first_contact_resolution_same_reason') }} as first_contact_resolution_same_reason,
    {{ rate('service_quality', 'satisfaction') }} as satisfaction,
    {{ rate('service_quality', 'net_promoter_score') }} as net_promoter_score,
    (active_line_count / day_count)::numeric(16, 6) as mean_daily_line_count,
    -- The name that call_rate had until 0.1.0.
    {{ rate('service_quality', 'call_rate') }} as call_rate_per_1000_lines,
    {{ rate('service_quality', 'call_rate') }} as call_rate
from rolled
