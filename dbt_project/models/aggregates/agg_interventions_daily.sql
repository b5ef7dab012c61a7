with jobs as (
    select * from {{ ref('fct_interventions') }}
),

slots as (
    select * from {{ ref('int_intervention_slots') }}
),

-- By itself, so that the few jobs of the night's slots are looked up.
promised_jobs as (
    select
        job_id,
        identity_key
    from {{ ref('fct_interventions') }}
),

requested as (
    select
        requested_date as business_date,
        department_code,
        kind,
        count(*) as requested_count,
        count(*) filter (
            where kind = 'repair' and requested_at - previous_installation_closed_at <= interval '720 hours'
        ) as requested_after_installation_count,
        count(first_slot_offered_at) as appointment_delay_count,
        coalesce(sum(extract(epoch from first_slot_offered_at - requested_at)) / 86400, 0) as appointment_delay_days,
        sum(state_count) as state_count,
        sum(duplicate_state_count) as duplicate_state_count,
        count(distinct identity_key) as requested_person_count
    from jobs
    {% if is_incremental() -%}
        where {{ is_changed('requested_date') }}
    {%- endif %}
    group by 1, 2, 3
),

closed as (
    select
        closed_date as business_date,
        department_code,
        kind,
        count(*) as closed_count,
        count(*) filter (where result = 'done') as done_count,
        count(*) filter (where result = 'incomplete') as incomplete_count,
        count(*) filter (where result = 'customer_absent') as customer_absent_count,
        count(*) filter (where result = 'technician_absent') as technician_absent_count,
        count(*) filter (where result = 'cancelled') as cancelled_count,
        count(line_key) filter (where result = 'done') as done_with_line_count,
        count(line_key) filter (
            where result = 'done' and (next_repair_requested_at - closed_at <= interval '720 hours') is not true
        ) as first_time_right_count,
        coalesce(sum(extract(epoch from closed_at - requested_at)) filter (where result = 'done'), 0) as done_seconds,
        count(distinct identity_key) as closed_person_count,
        count(distinct identity_key) filter (where customer_key is not null) as customer_closed_person_count
    from jobs
    where
        closed_date is not null
        {% if is_incremental() -%}
            and {{ is_changed('closed_date') }}
        {%- endif %}
    group by 1, 2, 3
),

promised as (
    select
        slots.slot_date as business_date,
        slots.department_code,
        slots.kind,
        count(*) as promised_slot_count,
        count(*) filter (
            where slots.outcome in ('kept', 'missed', 'moved_by_operator', 'technician_absent')
        ) as appointment_count,
        count(*) filter (where slots.outcome = 'kept') as appointment_kept_count,
        count(*) filter (where slots.outcome = 'technician_absent') as operator_no_show_count,
        count(*) filter (where slots.outcome = 'customer_absent') as customer_no_access_count,
        count(distinct promised_jobs.identity_key) as promised_person_count
    from slots
    left join promised_jobs on slots.job_id = promised_jobs.job_id
    {% if is_incremental() -%}
        where {{ is_changed('slots.slot_date') }}
    {%- endif %}
    group by 1, 2, 3
),

cells as (
    select business_date, department_code, kind from requested
    union
    select business_date, department_code, kind from closed
    union
    select business_date, department_code, kind from promised
),

final as (
    select
        cells.business_date,
        cells.department_code,
        cells.kind,
        coalesce(requested.requested_count, 0) as requested_count,
        coalesce(requested.requested_after_installation_count, 0) as requested_after_installation_count,
        coalesce(closed.closed_count, 0) as closed_count,
        coalesce(closed.done_count, 0) as done_count,
        coalesce(closed.incomplete_count, 0) as incomplete_count,
        coalesce(closed.customer_absent_count, 0) as customer_absent_count,
        coalesce(closed.technician_absent_count, 0) as technician_absent_count,
        coalesce(closed.cancelled_count, 0) as cancelled_count,
        coalesce(closed.done_with_line_count, 0) as done_with_line_count,
        coalesce(closed.first_time_right_count, 0) as first_time_right_count,
        coalesce(promised.promised_slot_count, 0) as promised_slot_count,
        coalesce(promised.appointment_count, 0) as appointment_count,
        coalesce(promised.appointment_kept_count, 0) as appointment_kept_count,
        coalesce(promised.operator_no_show_count, 0) as operator_no_show_count,
        coalesce(promised.customer_no_access_count, 0) as customer_no_access_count,
        coalesce(requested.appointment_delay_count, 0) as appointment_delay_count,
        coalesce(requested.appointment_delay_days, 0)::numeric(16, 6) as appointment_delay_days,
        case when cells.kind = 'installation' then coalesce(closed.done_count, 0) else 0 end as supply_count,
        case
            when cells.kind = 'installation' then coalesce(closed.done_seconds / 86400, 0) else 0
        end::numeric(16, 6) as supply_days,
        case when cells.kind = 'repair' then coalesce(closed.done_count, 0) else 0 end as repair_count,
        case
            when cells.kind = 'repair' then coalesce(closed.done_seconds / 3600, 0) else 0
        end::numeric(16, 6) as repair_hours,
        coalesce(requested.state_count, 0) as state_count,
        coalesce(requested.duplicate_state_count, 0) as duplicate_state_count,
        coalesce(requested.requested_person_count, 0) as requested_person_count,
        coalesce(closed.closed_person_count, 0) as closed_person_count,
        coalesce(closed.customer_closed_person_count, 0) as customer_closed_person_count,
        coalesce(promised.promised_person_count, 0) as promised_person_count
    from cells
    left join requested using (business_date, department_code, kind)
    left join closed using (business_date, department_code, kind)
    left join promised using (business_date, department_code, kind)
)

select * from final
