with calls as (
    select *
    from {{ ref('agg_calls_daily') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

repeats as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        sum(repeat_1d_count)::bigint as repeat_1d_count,
        sum(repeat_7d_count)::bigint as repeat_7d_count,
        sum(repeat_30d_count)::bigint as repeat_30d_count,
        sum(repeat_7d_same_reason_count)::bigint as repeat_7d_same_reason_count
    from {{ ref('mart_repeat_calls_daily') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
    group by 1, 2, 3, 4
),

missed as (
    select *
    from {{ ref('agg_missed_repeats_daily') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

-- Places with lines and without calls have a row too, or the lines of all regions would not add up.
cells as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        sum(active_line_stock)::bigint as active_line_stock
    from {{ ref('mart_service_quality_department_daily') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
    group by 1, 2, 3, 4
),

figures as (
    select
        cells.business_date,
        cells.directorate_code,
        cells.region_code,
        cells.market,
        coalesce(calls.offered_count, 0) as offered_count,
        coalesce(calls.answered_count, 0) as answered_count,
        coalesce(calls.abandoned_count, 0) as abandoned_count,
        coalesce(calls.short_abandoned_count, 0) as short_abandoned_count,
        coalesce(calls.overflowed_lost_count, 0) as overflowed_lost_count,
        coalesce(calls.ivr_resolved_count, 0) as ivr_resolved_count,
        coalesce(calls.ivr_abandoned_count, 0) as ivr_abandoned_count,
        coalesce(calls.blocked_count, 0) as blocked_count,
        coalesce(calls.answered_within_20s_count, 0) as answered_within_20s_count,
        coalesce(calls.wait_answered_seconds, 0)::numeric(16, 6) as wait_answered_seconds,
        coalesce(calls.handle_seconds, 0) as handle_seconds,
        coalesce(calls.transferred_count, 0) as transferred_count,
        coalesce(calls.identified_answered_count, 0) as identified_answered_count,
        coalesce(repeats.repeat_1d_count, 0) as repeat_1d_count,
        coalesce(repeats.repeat_7d_count, 0) as repeat_7d_count,
        coalesce(repeats.repeat_30d_count, 0) as repeat_30d_count,
        coalesce(repeats.repeat_7d_same_reason_count, 0) as repeat_7d_same_reason_count,
        coalesce(missed.repeat_7d_missed_count, 0) as repeat_7d_missed_count,
        coalesce(calls.withheld_answered_count, 0) as withheld_answered_count,
        coalesce(calls.home_in_hours_count, 0) as home_in_hours_count,
        coalesce(calls.home_off_hours_count, 0) as home_off_hours_count,
        coalesce(calls.other_directorate_count, 0) as other_directorate_count,
        coalesce(calls.offshore_in_hours_count, 0) as offshore_in_hours_count,
        coalesce(calls.offshore_off_hours_count, 0) as offshore_off_hours_count,
        coalesce(calls.other_site_count, 0) as other_site_count,
        coalesce(calls.in_hours_known_answered_count, 0) as in_hours_known_answered_count,
        coalesce(calls.resolved_by_customer_file_count, 0) as resolved_by_customer_file_count,
        coalesce(calls.resolved_by_line_assignment_count, 0) as resolved_by_line_assignment_count,
        coalesce(calls.resolved_by_prefix_count, 0) as resolved_by_prefix_count,
        coalesce(calls.prefix_compared_count, 0) as prefix_compared_count,
        coalesce(calls.prefix_disagreement_count, 0) as prefix_disagreement_count,
        coalesce(calls.survey_count, 0) as survey_count,
        coalesce(calls.satisfied_count, 0) as satisfied_count,
        coalesce(calls.recommend_count, 0) as recommend_count,
        coalesce(calls.promoter_count, 0) as promoter_count,
        coalesce(calls.detractor_count, 0) as detractor_count,
        cells.active_line_stock,
        -- The name that active_line_stock had until 0.2.0.
        cells.active_line_stock as active_line_count,
        coalesce(calls.offered_person_count, 0) as offered_person_count,
        coalesce(calls.ivr_resolved_person_count, 0) as ivr_resolved_person_count,
        coalesce(calls.ivr_abandoned_person_count, 0) as ivr_abandoned_person_count,
        coalesce(calls.blocked_person_count, 0) as blocked_person_count
    from cells
    left join calls using (business_date, directorate_code, region_code, market)
    left join repeats using (business_date, directorate_code, region_code, market)
    left join missed using (business_date, directorate_code, region_code, market)
),

final as (
    {{ named('figures', windows=['repeat_1d', 'repeat_7d', 'repeat_30d', 'call_rate']) }}
)

select * from final
