-- A contact within 30 x 24 hours comes at most 31 dates later: the clock may change in between.
with calls as (
    select
        business_date,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        market,
        coalesce(reason_code, 'unknown') as reason_code,
        identity_key,
        offered_at,
        outcome = 'answered' as is_answered
    from {{ all_dates('fct_calls') }}
    where
        is_offered
        and is_identified
        {% if is_incremental() -%}
            and {{ is_changed(days_after=31) }}
        {%- endif %}
),

followed as (
    select
        *,
        min(offered_at) over (
            partition by identity_key order by offered_at
            groups between 1 following and 1 following
        ) - offered_at as until_next_call,
        min(offered_at) over (
            partition by identity_key, reason_code order by offered_at
            groups between 1 following and 1 following
        ) - offered_at as until_next_call_of_reason
    from calls
),

final as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        reason_code,
        count(*) as identified_answered_count,
        count(*) filter (where until_next_call <= interval '24 hours') as repeat_1d_count,
        count(*) filter (where until_next_call <= interval '168 hours') as repeat_7d_count,
        count(*) filter (where until_next_call <= interval '720 hours') as repeat_30d_count,
        count(*) filter (
            where until_next_call_of_reason <= interval '168 hours' and reason_code <> 'unknown'
        ) as repeat_7d_same_reason_count
    from followed
    where
        is_answered
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
    group by business_date, directorate_code, region_code, market, reason_code
)

select * from final
