{%- set valid_calls = 'answered_count + abandoned_count - short_abandoned_count' -%}
{%- set known_answered -%}
    home_in_hours_count + home_off_hours_count + other_directorate_count
    + offshore_in_hours_count + offshore_off_hours_count + other_site_count
{%- endset -%}
{%- set resolved -%}
    resolved_by_customer_file_count + resolved_by_line_assignment_count + resolved_by_prefix_count
{%- endset -%}
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
    {{ ratio('abandoned_count - short_abandoned_count', valid_calls) }} as abandonment_rate,
    {{ ratio('answered_within_20s_count', valid_calls) }} as service_level,
    {{ ratio('answered_within_20s_count', 'answered_count') }} as answered_within_20s_rate,
    {{ ratio('wait_answered_seconds', 'answered_count') }} as mean_wait_seconds,
    {{ ratio('handle_seconds', 'answered_count') }} as mean_handle_seconds,
    {{ ratio('transferred_count', 'answered_count') }} as transfer_rate,
    {{ ratio('home_in_hours_count', 'in_hours_known_answered_count') }} as home_region_rate,
    {{ ratio('home_in_hours_count', known_answered) }} as home_in_hours_share,
    {{ ratio('home_off_hours_count', known_answered) }} as home_off_hours_share,
    {{ ratio('other_directorate_count', known_answered) }} as other_directorate_share,
    {{ ratio('offshore_in_hours_count', known_answered) }} as offshore_in_hours_share,
    {{ ratio('offshore_off_hours_count', known_answered) }} as offshore_off_hours_share,
    {{ ratio('other_site_count', known_answered) }} as other_site_share,
    {{ ratio(resolved, 'offered_count') }} as region_resolved_rate,
    {{ ratio('resolved_by_customer_file_count', 'offered_count') }} as resolved_by_customer_file_share,
    {{ ratio('resolved_by_line_assignment_count', 'offered_count') }} as resolved_by_line_assignment_share,
    {{ ratio('resolved_by_prefix_count', 'offered_count') }} as resolved_by_prefix_share,
    {{ ratio('prefix_disagreement_count', 'prefix_compared_count') }} as prefix_disagreement_rate,
    {{ ratio('withheld_answered_count', 'answered_count') }} as withheld_share,
    {{ ratio('repeat_1d_count', 'identified_answered_count') }} as repeat_1d_rate,
    {{ ratio('repeat_7d_count', 'identified_answered_count') }} as repeat_7d_rate,
    {{ ratio('repeat_30d_count', 'identified_answered_count') }} as repeat_30d_rate,
    {{ ratio('repeat_7d_missed_count', 'identified_answered_count') }} as repeat_7d_missed_rate,
    {{ ratio('identified_answered_count - repeat_7d_count', 'identified_answered_count') }} as first_contact_resolution,
    {{ ratio('identified_answered_count - repeat_7d_same_reason_count', 'identified_answered_count') }}
        as first_contact_resolution_same_reason,
    {{ ratio('satisfied_count', 'survey_count') }} as satisfaction,
    {{ ratio('promoter_count - detractor_count', 'recommend_count', '100.0') }} as net_promoter_score,
    (active_line_count / day_count)::numeric(16, 6) as mean_daily_line_count,
    {{ ratio('offered_count * day_count', 'active_line_count', '1000.0') }} as call_rate_per_1000_lines
from rolled
