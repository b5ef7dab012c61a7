{%- set place = ['business_date', 'directorate_code', 'region_code'] -%}
{%- set of_call, of_visit = ['reason_code', 'answered_by'], ['boutique_code'] -%}
{%- set cell = place + of_call + of_visit -%}
{%- set call_figures = ['customer_answered_count', 'visit_after_call_7d_count'] -%}
{%- set visit_figures = ['customer_visit_count', 'call_after_visit_7d_count', 'repeat_visit_7d_count'] -%}
{%- set is_call, is_visit = 'is_offered and customer_key is not null', 'customer_key is not null' -%}
{#- Of which contacts something is counted, with what it adds: a caller who came moves to the boutique's row. -#}
{%- set counted = [
    ('customer_answered_count', 'answers', ''),
    ('customer_answered_count', 'callers_who_came', ''),
    ('customer_answered_count', 'callers_who_came', '-'),
    ('visit_after_call_7d_count', 'callers_who_came', ''),
    ('customer_visit_count', 'visits', ''),
] -%}
{%- set followed = {'call_after_visit_7d_count': 'calls', 'repeat_visit_7d_count': 'visits'} -%}

with people as (
    {{ changed_people('fct_calls', is_call) }}
    union
    {{ changed_people('fct_boutique_visits', is_visit) }}
),

-- What follows within 7 x 24 hours is at most 8 dates later: the clock may change in between.
calls as (
    {{ signed_rows(
        'fct_calls',
        [
            'business_date', 'home_directorate_code as directorate_code', 'home_region_code as region_code',
            "coalesce(reason_code, 'unknown') as reason_code", who_answered() ~ ' as answered_by',
            'null::text as boutique_code', 'call_id', 'offered_at as at', 'outcome',
        ],
        is_call,
        people='people',
        days=8
    ) }}
),

visits as (
    {{ signed_rows(
        'fct_boutique_visits',
        place + ['null::text as reason_code', 'null::text as answered_by', 'boutique_code', 'arrived_at as at'],
        is_visit,
        people='people',
        days=8
    ) }}
),

answers as (
    select * from calls
    where outcome = 'answered'
),

-- The boutique that they came to first.
callers_who_came as (
    select distinct on (answers.sign, answers.call_id)
        answers.sign,
        answers.business_date,
        answers.directorate_code,
        answers.region_code,
        answers.reason_code,
        answers.answered_by,
        visits.boutique_code
    from answers
    inner join visits
        on answers.sign = visits.sign
        and answers.identity_key = visits.identity_key
        and answers.at < visits.at
        and answers.at + interval '168 hours' >= visits.at
    order by answers.sign, answers.call_id, visits.at, visits.boutique_code
),

-- Whether one follows the other is asked by semi-joins: one pass over each channel.
counted as (
    {% for figure, contacts, change in counted -%}
        select
            {{ (place + of_call) | join(', ') }},
            {{ 'null' if change else 'boutique_code' }} as boutique_code,
            {{ change ~ '1' }} * sign as sign,
            '{{ figure }}' as figure
        from {{ contacts }}
        union all
    {% endfor -%}
    {% for figure, others in followed.items() -%}
        select
            {{ cell | join(', ') }},
            sign,
            '{{ figure }}' as figure
        from visits as firsts
        where
            exists (
                select 1
                from {{ others }} as others
                where
                    others.sign = firsts.sign
                    and others.identity_key = firsts.identity_key
                    and others.at > firsts.at
                    and others.at <= firsts.at + interval '168 hours'
            )
        {{ 'union all' if not loop.last }}
    {% endfor %}
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
            place + of_call + ["nullif(boutique_code, 'none') as boutique_code"]
            + call_figures + ['0 as ' ~ visit_figures | join(', 0 as ')]
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
