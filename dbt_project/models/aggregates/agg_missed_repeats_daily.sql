-- A contact within 7 x 24 hours is at most 8 dates later: the clock may change in between.
with calls as not materialized (
    select
        business_date,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        market,
        identity_key,
        caller_key,
        offered_at,
        outcome = 'answered' as is_answered
    from {{ all_dates('fct_calls') }}
    where
        is_offered
        and is_identified
        {% if is_incremental() -%}
            and {{ is_changed(days_after=8) }}
        {%- endif %}
),

-- Nearly every number has one identity; only those with several are looked into.
numbers as (
    select caller_key
    from calls
    where caller_key is not null
    group by caller_key
    having min(identity_key) <> max(identity_key)
),

shared as (
    select calls.*
    from calls
    inner join numbers on calls.caller_key = numbers.caller_key
),

own_calls as (
    select
        identity_key,
        offered_at
    from calls
    where identity_key in (select shared.identity_key from shared)
),

final as (
    select
        shared.business_date,
        shared.directorate_code,
        shared.region_code,
        shared.market,
        count(*) as repeat_7d_missed_count
    from shared
    where
        shared.is_answered
        {% if is_incremental() -%}
            and {{ is_changed('shared.business_date') }}
        {%- endif %}
        and exists (
            select 1
            from shared as others
            where
                others.caller_key = shared.caller_key
                and others.identity_key <> shared.identity_key
                and others.offered_at > shared.offered_at
                and others.offered_at <= shared.offered_at + interval '168 hours'
        )
        and not exists (
            select 1
            from own_calls
            where
                own_calls.identity_key = shared.identity_key
                and own_calls.offered_at > shared.offered_at
                and own_calls.offered_at <= shared.offered_at + interval '168 hours'
        )
    group by shared.business_date, shared.directorate_code, shared.region_code, shared.market
)

select * from final
