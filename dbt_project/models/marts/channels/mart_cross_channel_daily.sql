with figures as (
    select * from {{ ref('agg_cross_channel_daily') }}
),

persons as (
    select * from {{ ref('agg_channel_persons_daily') }}
),

counted as (
    select
        figures.*,
        persons.customer_answered_person_count,
        persons.customer_visit_person_count,
        persons.customer_closed_person_count
    from figures
    left join persons
        on figures.business_date = persons.business_date
        and figures.directorate_code = persons.directorate_code
        and figures.region_code = persons.region_code
),

final as (
    {{ named('counted', windows=[
        'visit_after_call_7d', 'call_after_visit_7d', 'call_after_job_7d', 'call_after_job_30d', 'job_after_call_7d',
        'job_after_visit_7d',
    ]) }}
)

select * from final
