{%- set place = ['business_date', 'directorate_code', 'region_code'] -%}
{%- set figures = ['customer_closed_count', 'call_after_job_7d_count', 'call_after_job_30d_count'] -%}
{%- set is_call = 'is_offered and customer_key is not null' -%}
{#-
    By difference: the jobs that changed and those of the people who called, as they were and as they are. Of a date whose
    extract was missing no figure is published, so its jobs count anew.
-#}
{%- set is_shown -%}
    closed_date in (
        select business_date from {{ published('mart_cross_channel_daily') }} where is_interventions_complete
    )
{%- endset -%}
{%- set is_job -%}
    closed_date is not null and customer_key is not null
    {%- if is_incremental() %} and {{ is_changed('closed_date') }}{% endif -%}
    {%- if is_by_difference() %}
        and (
            {{ is_changed_job() }}
            or identity_key in (select people.identity_key from people)
            or not {{ is_shown }}
        )
    {%- endif -%}
{%- endset -%}

with people as (
    {{ changed_people('fct_calls', is_call) }}
),

jobs as (
    select
        1 as sign,
        job_id,
        closed_date as business_date,
        department_code,
        identity_key,
        closed_at
    from {{ ref('fct_interventions') }}
    where {{ is_job }}
    {% if is_by_difference() -%}
        union all
        select
            -1 as sign,
            job_id,
            closed_date as business_date,
            department_code,
            identity_key,
            closed_at
        from {{ published('fct_interventions') }}
        where {{ is_job }} and {{ is_shown }}
    {%- endif %}
),

-- A call within 30 x 24 hours is at most 31 dates later: the clock may change in between.
calls as (
    {{ signed_rows('fct_calls', ['business_date', 'offered_at'], is_call, people='jobs', days=31) }}
),

homes as (
    select * from {{ ref('int_homes') }}
),

followed as (
    select
        jobs.sign,
        jobs.job_id,
        jobs.business_date,
        jobs.department_code,
        min(calls.offered_at - jobs.closed_at) as until_next_call
    from jobs
    left join calls
        on jobs.sign = calls.sign
        and jobs.identity_key = calls.identity_key
        and jobs.closed_at < calls.offered_at
        and jobs.closed_at + interval '720 hours' >= calls.offered_at
    group by jobs.sign, jobs.job_id, jobs.business_date, jobs.department_code
),

counted as (
    select
        followed.business_date,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        sum(followed.sign) as customer_closed_count,
        sum(followed.sign) filter (where followed.until_next_call <= interval '168 hours') as call_after_job_7d_count,
        sum(followed.sign) filter (where followed.until_next_call is not null) as call_after_job_30d_count
    from followed
    left join homes
        on followed.department_code = homes.home_key
        and followed.business_date >= homes.valid_from
        and followed.business_date < homes.valid_to
    group by followed.business_date, coalesce(homes.directorate_code, 'unknown'), coalesce(homes.region_code, 'unknown')
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
    group by {{ place | join(', ') }}
    having sum(customer_closed_count) <> 0
)

select * from final
