{%- set place = ['business_date', 'directorate_code', 'region_code'] -%}
{%- set figures = ['job_after_call_7d_count', 'job_after_visit_7d_count'] -%}
{%- set is_call, is_visit = "outcome = 'answered' and customer_key is not null", 'customer_key is not null' -%}
{#- By difference: the contacts of changed dates and of customers whose jobs changed, as they were and as they are. -#}
{%- set is_job = 'customer_key is not null' -%}
{%- if is_incremental() -%}
    {%- set is_job = is_job ~ ' and ' ~ is_changed('requested_date', days_after=8) -%}
{%- endif -%}

with people as (
    {% if is_by_difference() -%}
        select identity_key
        from {{ published('fct_interventions') }}
        where customer_key is not null and {{ is_changed_job() }}
        union
        select identity_key
        from {{ ref('fct_interventions') }}
        where customer_key is not null and {{ is_changed_job() }}
    {%- else -%}
        select null::bigint as identity_key
        where false
    {%- endif %}
),

calls as (
    {{ signed_rows(
        'fct_calls',
        ['business_date', 'home_directorate_code', 'home_region_code', 'offered_at'],
        is_call,
        people='people',
        days=0
    ) }}
),

visits as (
    {{ signed_rows(
        'fct_boutique_visits',
        ['business_date', 'directorate_code', 'region_code', 'arrived_at'],
        is_visit,
        people='people',
        days=0
    ) }}
),

contacts as (
    select
        sign,
        identity_key,
        business_date,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        offered_at as began_at,
        'job_after_call_7d_count' as figure
    from calls
    union all
    select
        sign,
        identity_key,
        business_date,
        directorate_code,
        region_code,
        arrived_at as began_at,
        'job_after_visit_7d_count' as figure
    from visits
),

-- A job requested within 7 x 24 hours is at most 8 dates later: the clock may change in between.
jobs as (
    select
        1 as sign,
        identity_key,
        requested_at
    from {{ ref('fct_interventions') }}
    where {{ is_job }}
    {% if is_by_difference() -%}
        union all
        select
            -1 as sign,
            identity_key,
            requested_at
        from {{ published('fct_interventions') }}
        where {{ is_job }}
    {%- endif %}
),

counted as (
    select
        {{ place | join(', ') }},
    {% for figure in figures -%}
        sum(sign) filter (where figure = '{{ figure }}') as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from contacts
    where
        exists (
            select 1
            from jobs
            where
                jobs.sign = contacts.sign
                and jobs.identity_key = contacts.identity_key
                and jobs.requested_at > contacts.began_at
                and jobs.requested_at <= contacts.began_at + interval '168 hours'
        )
    group by {{ place | join(', ') }}
    {% if is_by_difference() -%}
        union all
        {{ published_figures('mart_cross_channel_daily', place + figures) }}
    {%- endif %}
),

final as (
    select
        {{ place | join(', ') }},
    {% for figure in figures -%}
        coalesce(sum({{ figure }}), 0)::bigint as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from counted
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
    group by {{ place | join(', ') }}
    having sum(job_after_call_7d_count) <> 0 or sum(job_after_visit_7d_count) <> 0
)

select * from final
