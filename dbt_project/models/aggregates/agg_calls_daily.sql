{%- set is_in_both = "home_source = 'customer_file' and num_nulls(home_department_code, prefix_department_code) = 0" -%}

with calls as (
    select *
    from {{ all_dates('fct_calls') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

final as (
    select
        business_date,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        market,
        sum(leg_count) as leg_count,
        count(*) filter (where is_offered) as offered_count,
        count(*) filter (where outcome = 'answered') as answered_count,
        count(*) filter (where outcome = 'abandoned') as abandoned_count,
        count(*) filter (where is_short_abandon) as short_abandoned_count,
        count(*) filter (where outcome = 'overflowed_lost') as overflowed_lost_count,
        count(*) filter (where outcome = 'ivr_resolved') as ivr_resolved_count,
        count(*) filter (where outcome = 'ivr_abandoned') as ivr_abandoned_count,
        count(*) filter (where outcome = 'blocked') as blocked_count,
        count(*) filter (
            where outcome = 'answered' and wait_seconds <= {{ var('service_level_seconds') }}
        ) as answered_within_20s_count,
        coalesce(sum(wait_seconds) filter (where outcome = 'answered'), 0) as wait_answered_seconds,
        sum(handle_seconds)::bigint as handle_seconds,
        count(*) filter (where is_transferred) as transferred_count,
        count(*) filter (where outcome = 'answered' and is_identified) as identified_answered_count,
        count(*) filter (where outcome = 'answered' and is_withheld) as withheld_answered_count,
        count(*) filter (where answered_by = 'home' and is_in_hours) as home_in_hours_count,
        count(*) filter (where answered_by = 'home' and not is_in_hours) as home_off_hours_count,
        count(*) filter (where answered_by = 'other_directorate') as other_directorate_count,
        count(*) filter (where answered_by = 'offshore' and is_in_hours) as offshore_in_hours_count,
        count(*) filter (where answered_by = 'offshore' and not is_in_hours) as offshore_off_hours_count,
        count(*) filter (where answered_by = 'other_site') as other_site_count,
        count(*) filter (where answered_by is not null and is_in_hours) as in_hours_known_answered_count,
        count(*) filter (
            where is_offered and home_region_code <> 'unknown' and home_source = 'customer_file'
        ) as resolved_by_customer_file_count,
        count(*) filter (
            where is_offered and home_region_code <> 'unknown' and home_source = 'line_assignment'
        ) as resolved_by_line_assignment_count,
        count(*) filter (
            where is_offered and home_region_code <> 'unknown' and home_source = 'prefix'
        ) as resolved_by_prefix_count,
        count(*) filter (where is_offered and {{ is_in_both }}) as prefix_compared_count,
        count(*) filter (
            where is_offered and {{ is_in_both }} and home_department_code <> prefix_department_code
        ) as prefix_disagreement_count,
        count(satisfaction) as survey_count,
        count(*) filter (where satisfaction >= 4) as satisfied_count,
        count(recommend) as recommend_count,
        count(*) filter (where recommend >= 9) as promoter_count,
        count(*) filter (where recommend <= 6) as detractor_count,
        count(distinct identity_key) filter (where is_offered) as offered_person_count,
        count(distinct identity_key) filter (where outcome = 'ivr_resolved') as ivr_resolved_person_count,
        count(distinct identity_key) filter (where outcome = 'ivr_abandoned') as ivr_abandoned_person_count,
        count(distinct identity_key) filter (where outcome = 'blocked') as blocked_person_count,
        count(distinct identity_key) filter (
            where outcome = 'answered' and customer_key is not null
        ) as customer_answered_person_count
    from calls
    group by business_date, home_directorate_code, home_region_code, market
)

select * from final
