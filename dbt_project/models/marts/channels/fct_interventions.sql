with jobs as (
    select *
    from {{ ref('int_intervention_jobs') }}
    {% if is_incremental() -%}
        where {{ is_changed_job() }}
    {%- endif %}
),

line_jobs as (
    select * from {{ ref('int_intervention_jobs') }}
),

homes as (
    select * from {{ ref('int_homes') }}
),

units as (
    select * from {{ ref('intervention_units') }}
),

final as (
    select
        jobs.job_id,
        jobs.identity_key,
        jobs.is_identified,
        jobs.customer_key,
        jobs.line_key,
        jobs.unit_code,
        units.unit_code is not null as is_known_unit,
        coalesce(units.directorate_code, 'unknown') as unit_directorate_code,
        jobs.kind,
        jobs.market,
        jobs.department_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        jobs.requested_at,
        jobs.requested_date,
        jobs.first_slot_offered_at,
        jobs.slot_starts_at,
        jobs.slot_ends_at,
        jobs.rescheduled_by,
        jobs.arrived_at,
        jobs.closed_at,
        jobs.closed_date,
        jobs.result,
        jobs.cause_code,
        neighbours.next_repair_requested_at,
        neighbours.previous_installation_closed_at,
        jobs.state_count,
        jobs.duplicate_state_count,
        jobs.last_updated_at,
        jobs.business_date
    from jobs
    -- Job by job, so that the night's few jobs never read the lines of all.
    left join lateral (
        select
            min(line_jobs.requested_at) filter (
                where line_jobs.kind = 'repair' and line_jobs.requested_at > jobs.closed_at
            ) as next_repair_requested_at,
            max(line_jobs.closed_at) filter (
                where line_jobs.closed_at < jobs.requested_at
                and line_jobs.kind = 'installation'
                and line_jobs.result = 'done'
            ) as previous_installation_closed_at
        from line_jobs
        where line_jobs.line_key = jobs.line_key
    ) as neighbours on true
    left join homes
        on jobs.department_code = homes.home_key
        and jobs.requested_date >= homes.valid_from
        and jobs.requested_date < homes.valid_to
    left join units on jobs.unit_code = units.unit_code
)

select * from final
