{%- set place = ['business_date', 'directorate_code', 'region_code'] -%}
{%- set of_call, of_visit = ['reason_code', 'answered_by'], ['boutique_code'] -%}
{%- set cell = place + of_call + of_visit -%}
{%- set call_figures = ['customer_answered_count', 'visit_after_call_7d_count'] -%}
{%- set visit_figures = [
    'customer_visit_count', 'call_after_visit_7d_count', 'repeat_visit_7d_count', 'visit_following_call_7d_count',
] -%}
{%- set is_call, is_visit = 'is_offered and customer_key is not null', 'customer_key is not null' -%}
{#- What is counted: the first contacts, and the others of which one comes after (or before) within 7 x 24 hours. -#}
{%- set within = "interval '168 hours'" -%}
{%- set counted = [
    ('visit_after_call_7d_count', 'answers', 'visits', 'others.at > firsts.at and others.at <= firsts.at + ' ~ within),
    ('call_after_visit_7d_count', 'visits', 'calls', 'others.at > firsts.at and others.at <= firsts.at + ' ~ within),
    ('repeat_visit_7d_count', 'visits', 'visits', 'others.at > firsts.at and others.at <= firsts.at + ' ~ within),
    ('visit_following_call_7d_count', 'visits', 'answers', 'others.at < firsts.at and others.at >= firsts.at - ' ~ within),
] -%}

with people as (
    {{ changed_people('fct_calls', is_call) }}
    union
    {{ changed_people('fct_boutique_visits', is_visit) }}
),

-- What comes within 7 x 24 hours is at most 8 dates away: the clock may change in between.
signed_calls as (
    {{ signed_rows(
        'fct_calls',
        [
            'business_date', 'home_directorate_code', 'home_region_code', 'reason_code', 'answered_by', 'is_in_hours',
            'offered_at', 'outcome',
        ],
        is_call,
        people='people', days=8, days_before=8
    ) }}
),

signed_visits as (
    {{ signed_rows(
        'fct_boutique_visits',
        ['business_date', 'directorate_code', 'region_code', 'boutique_code', 'arrived_at'],
        is_visit,
        people='people', days=8
    ) }}
),

calls as (
    select
        sign,
        identity_key,
        offered_at as at,
        outcome,
        business_date,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        coalesce(reason_code, 'unknown') as reason_code,
        {{ who_answered() }} as answered_by,
        null::text as boutique_code
    from signed_calls
),

answers as (
    select * from calls
    where outcome = 'answered'
),

visits as (
    select
        sign,
        identity_key,
        arrived_at as at,
        business_date,
        directorate_code,
        region_code,
        null::text as reason_code,
        null::text as answered_by,
        boutique_code
    from signed_visits
),

-- Whether one comes with the other is asked by semi-joins: one pass over each channel.
counted as (
    select
        {{ cell | join(', ') }},
        sign,
        'customer_answered_count' as figure
    from answers
    union all
    select
        {{ cell | join(', ') }},
        sign,
        'customer_visit_count' as figure
    from visits
    {% for figure, firsts, others, condition in counted -%}
        union all
        select
            {{ cell | join(', ') }},
            sign,
            '{{ figure }}' as figure
        from {{ firsts }} as firsts
        where
            exists (
                select 1
                from {{ others }} as others
                where
                    others.sign = firsts.sign
                    and others.identity_key = firsts.identity_key
                    and {{ condition }}
            )
    {% endfor -%}
),

summed as (
    select
        {{ cell | join(', ') }},
    {% for figure in call_figures + visit_figures -%}
        sum(sign) filter (where figure = '{{ figure }}') as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from counted
    group by {{ cell | join(', ') }}
    {% if is_by_difference() -%}
        union all
        {{ published_figures(
            'mart_visits_after_calls_daily',
            place + of_call + ['null as boutique_code'] + call_figures + ['0 as ' ~ visit_figures | join(', 0 as ')]
        ) }}
        union all
        {{ published_figures(
            'mart_boutique_visits_daily',
            place + ['null as reason_code', 'null as answered_by'] + of_visit
            + ['0 as ' ~ call_figures | join(', 0 as ')] + visit_figures
        ) }}
    {%- endif %}
),

final as (
    select
        {{ cell | join(', ') }},
    {% for figure in call_figures + visit_figures -%}
        coalesce(sum({{ figure }}), 0)::bigint as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from summed
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
    group by {{ cell | join(', ') }}
    having sum(customer_answered_count) <> 0 or sum(customer_visit_count) <> 0
)

select * from final
