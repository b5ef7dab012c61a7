with states as (
    select distinct on (job_id, updated_at) *
    from {{ ref('int_intervention_states') }}
    {% if is_incremental() -%}
        where {{ is_changed_job() }}
    {%- endif %}
    order by job_id, updated_at, business_date
),

jobs as (
    select * from {{ ref('int_intervention_jobs') }}
    {% if is_incremental() -%}
        where {{ is_changed_job() }}
    {%- endif %}
),

marked as (
    select
        *,
        slot_starts_at is not null and slot_ends_at is not null as has_slot
    from states
),

compared as (
    select
        *,
        has_slot
        and (
            slot_starts_at is distinct from lag(slot_starts_at) over with_slot
            or slot_ends_at is distinct from lag(slot_ends_at) over with_slot
        ) as is_new_slot
    from marked
    window with_slot as (partition by job_id, has_slot order by updated_at)
),

-- A state without a slot belongs to the last one promised: it tells who called it off, or what became of it.
numbered as (
    select
        *,
        count(*) filter (where is_new_slot) over (partition by job_id order by updated_at) as slot_no
    from compared
),

promised as (
    select
        job_id,
        slot_no,
        min(slot_starts_at) filter (where has_slot) as slot_starts_at,
        min(slot_ends_at) filter (where has_slot) as slot_ends_at,
        min(updated_at) as promised_at,
        max(updated_at) as last_updated_at,
        (array_agg(rescheduled_by order by updated_at))[1] as moved_here_by,
        (array_agg(rescheduled_by order by updated_at desc) filter (where not has_slot))[1] as called_off_by,
        (array_agg(result order by updated_at desc))[1] as result,
        (array_agg(closed_at order by updated_at desc))[1] as closed_at
    from numbered
    where slot_no > 0
    group by job_id, slot_no
),

followed as (
    select
        *,
        lead(promised_at) over (partition by job_id order by slot_no) as moved_at,
        coalesce(lead(moved_here_by) over (partition by job_id order by slot_no), called_off_by) as moved_by
    from promised
),

-- An arrival may be told only together with the next slot: then it counts if it came before that was promised.
arrived as (
    select distinct
        followed.job_id,
        followed.slot_no
    from followed
    inner join states
        on followed.job_id = states.job_id
        and followed.last_updated_at <= states.updated_at
    where
        states.arrived_at between followed.slot_starts_at and followed.slot_ends_at
        and states.arrived_at <= coalesce(followed.moved_at, 'infinity')
),

final as (
    select
        followed.job_id,
        followed.slot_no::integer as slot_no,
        jobs.kind,
        jobs.department_code,
        followed.promised_at,
        followed.slot_starts_at,
        followed.slot_ends_at,
        (followed.slot_ends_at at time zone 'Europe/Paris')::date as slot_date,
        case
            when followed.result = 'customer_absent' then 'customer_absent'
            when arrived.job_id is not null then 'kept'
            when followed.result = 'technician_absent' then 'technician_absent'
            when followed.result = 'cancelled' and followed.closed_at < followed.slot_starts_at then 'cancelled'
            when followed.moved_by = 'customer' then 'moved_by_customer'
            when followed.moved_by = 'operator' or followed.moved_at is not null then 'moved_by_operator'
            else 'missed'
        end as outcome
    from followed
    inner join jobs on followed.job_id = jobs.job_id
    left join arrived
        on followed.job_id = arrived.job_id
        and followed.slot_no = arrived.slot_no
)

select * from final
