-- A call within 30 x 24 hours comes at most 31 dates later: the clock may change in between.
with jobs as (
    select
        job_id,
        closed_date as business_date,
        department_code,
        identity_key,
        closed_at
    from {{ ref('fct_interventions') }}
    where
        closed_date is not null
        and customer_key is not null
        {% if is_incremental() -%}
            and {{ is_changed('closed_date') }}
        {%- endif %}
),

calls as (
    select
        identity_key,
        offered_at
    from {{ all_dates('fct_calls') }}
    where
        is_offered
        and customer_key is not null
        {% if is_incremental() -%}
            and {{ is_changed(days_after=31) }}
        {%- endif %}
),

homes as (
    select * from {{ ref('int_homes') }}
),

followed as (
    select
        jobs.job_id,
        jobs.business_date,
        jobs.department_code,
        min(calls.offered_at - jobs.closed_at) as until_next_call
    from jobs
    left join calls
        on jobs.identity_key = calls.identity_key
        and jobs.closed_at < calls.offered_at
        and jobs.closed_at + interval '720 hours' >= calls.offered_at
    group by 1, 2, 3
),

final as (
    select
        followed.business_date,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        count(*) as customer_closed_count,
        count(*) filter (where followed.until_next_call <= interval '168 hours') as call_after_job_7d_count,
        count(followed.until_next_call) as call_after_job_30d_count
    from followed
    left join homes
        on followed.department_code = homes.home_key
        and followed.business_date >= homes.valid_from
        and followed.business_date < homes.valid_to
    group by 1, 2
)

select * from final
