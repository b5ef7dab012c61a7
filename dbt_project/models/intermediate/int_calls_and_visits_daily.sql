-- What follows within 7 x 24 hours comes at most 8 dates later: the clock may change in between.
with calls as (
    select
        business_date,
        home_directorate_code as directorate_code,
        identity_key,
        offered_at,
        outcome = 'answered' as is_answered
    from {{ all_dates('fct_calls') }}
    where
        is_offered
        and customer_key is not null
        {% if is_incremental() -%}
            and {{ is_changed(days_after=8) }}
        {%- endif %}
),

visits as (
    select
        business_date,
        directorate_code,
        identity_key,
        arrived_at
    from {{ all_dates('fct_boutique_visits') }}
    where
        customer_key is not null
        {% if is_incremental() -%}
            and {{ is_changed(days_after=8) }}
        {%- endif %}
),

-- Whether one follows the other is asked by semi-joins: one pass over each channel.
counted as (
    select
        business_date,
        directorate_code,
        'answered' as what
    from calls
    where is_answered
    union all
    select
        business_date,
        directorate_code,
        'visit after call' as what
    from calls
    where
        is_answered
        and exists (
            select 1
            from visits
            where
                visits.identity_key = calls.identity_key
                and visits.arrived_at > calls.offered_at
                and visits.arrived_at <= calls.offered_at + interval '168 hours'
        )
    union all
    select
        business_date,
        directorate_code,
        'visit' as what
    from visits
    union all
    select
        business_date,
        directorate_code,
        'call after visit' as what
    from visits
    where
        exists (
            select 1
            from calls
            where
                calls.identity_key = visits.identity_key
                and calls.offered_at > visits.arrived_at
                and calls.offered_at <= visits.arrived_at + interval '168 hours'
        )
),

final as (
    select
        business_date,
        directorate_code,
        count(*) filter (where what = 'answered') as customer_answered_count,
        count(*) filter (where what = 'visit after call') as visit_after_call_7d_count,
        count(*) filter (where what = 'visit') as customer_visit_count,
        count(*) filter (where what = 'call after visit') as call_after_visit_7d_count
    from counted
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
    group by business_date, directorate_code
)

select * from final
