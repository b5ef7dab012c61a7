{%- set place = ['business_date', 'directorate_code'] -%}
{%- set figures = [
    'customer_answered_count',
    'visit_after_call_7d_count',
    'customer_visit_count',
    'call_after_visit_7d_count',
] -%}
{%- set is_call, is_visit = 'is_offered and customer_key is not null', 'customer_key is not null' -%}

with people as (
    {{ changed_people('fct_calls', is_call) }}
    union
    {{ changed_people('fct_boutique_visits', is_visit) }}
),

-- What follows within 7 x 24 hours is at most 8 dates later: the clock may change in between.
calls as (
    {{ signed_rows(
        'fct_calls',
        ['business_date', 'home_directorate_code', 'offered_at', 'outcome'],
        is_call,
        people='people',
        days=8
    ) }}
),

visits as (
    {{ signed_rows(
        'fct_boutique_visits',
        ['business_date', 'directorate_code', 'arrived_at'],
        is_visit,
        people='people',
        days=8
    ) }}
),

-- Whether one follows the other is asked by semi-joins: one pass over each channel.
counted as (
    select
        sign,
        business_date,
        home_directorate_code as directorate_code,
        'answered' as what
    from calls
    where outcome = 'answered'
    union all
    select
        sign,
        business_date,
        home_directorate_code as directorate_code,
        'visit after call' as what
    from calls
    where
        outcome = 'answered'
        and exists (
            select 1
            from visits
            where
                visits.sign = calls.sign
                and visits.identity_key = calls.identity_key
                and visits.arrived_at > calls.offered_at
                and visits.arrived_at <= calls.offered_at + interval '168 hours'
        )
    union all
    select
        sign,
        business_date,
        directorate_code,
        'visit' as what
    from visits
    union all
    select
        sign,
        business_date,
        directorate_code,
        'call after visit' as what
    from visits
    where
        exists (
            select 1
            from calls
            where
                calls.sign = visits.sign
                and calls.identity_key = visits.identity_key
                and calls.offered_at > visits.arrived_at
                and calls.offered_at <= visits.arrived_at + interval '168 hours'
        )
),

summed as (
    select
        business_date,
        directorate_code,
        sum(sign) filter (where what = 'answered') as customer_answered_count,
        sum(sign) filter (where what = 'visit after call') as visit_after_call_7d_count,
        sum(sign) filter (where what = 'visit') as customer_visit_count,
        sum(sign) filter (where what = 'call after visit') as call_after_visit_7d_count
    from counted
    group by business_date, directorate_code
    {% if is_by_difference() -%}
        union all
        {{ published_figures('mart_cross_channel_daily', place + figures) }}
    {%- endif %}
),

final as (
    select
        business_date,
        directorate_code,
    {% for figure in figures -%}
        coalesce(sum({{ figure }}), 0)::bigint as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from summed
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
    group by business_date, directorate_code
    having sum(customer_answered_count) <> 0 or sum(customer_visit_count) <> 0
)

select * from final
