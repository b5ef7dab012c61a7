{%- set place = ['business_date', 'directorate_code', 'region_code', 'market', 'reason_code'] -%}
{%- set figures = [
    'identified_answered_count',
    'repeat_1d_count',
    'repeat_7d_count',
    'repeat_30d_count',
    'repeat_7d_same_reason_count',
] -%}
{%- set is_counted = 'is_offered and is_identified' -%}

with people as (
    {{ changed_people('fct_calls', is_counted) }}
),

-- A contact within 30 x 24 hours is at most 31 dates later: the clock may change in between.
calls as (
    {{ signed_rows(
        'fct_calls',
        [
            'business_date', 'home_directorate_code', 'home_region_code', 'market', 'reason_code', 'offered_at',
            'outcome'
        ],
        is_counted,
        people='people',
        days=31
    ) }}
),

followed as (
    select
        sign,
        business_date,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        market,
        coalesce(reason_code, 'unknown') as reason_code,
        outcome = 'answered' as is_answered,
        min(offered_at) over (
            partition by sign, identity_key order by offered_at
            groups between 1 following and 1 following
        ) - offered_at as until_next_call,
        min(offered_at) over (
            partition by sign, identity_key, reason_code order by offered_at
            groups between 1 following and 1 following
        ) - offered_at as until_next_call_of_reason
    from calls
),

counted as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        reason_code,
        sum(sign) as identified_answered_count,
        sum(sign) filter (where until_next_call <= interval '24 hours') as repeat_1d_count,
        sum(sign) filter (where until_next_call <= interval '168 hours') as repeat_7d_count,
        sum(sign) filter (where until_next_call <= interval '720 hours') as repeat_30d_count,
        sum(sign) filter (
            where until_next_call_of_reason <= interval '168 hours' and reason_code <> 'unknown'
        ) as repeat_7d_same_reason_count
    from followed
    where is_answered
    group by business_date, directorate_code, region_code, market, reason_code
    {% if is_by_difference() -%}
        union all
        {{ published_figures('mart_repeat_calls_daily', place + figures) }}
    {%- endif %}
),

final as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        reason_code,
    {% for figure in figures -%}
        coalesce(sum({{ figure }}), 0)::bigint as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from counted
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
    group by business_date, directorate_code, region_code, market, reason_code
    having sum(identified_answered_count) <> 0
)

select * from final
