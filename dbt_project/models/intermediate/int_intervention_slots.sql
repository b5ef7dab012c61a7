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
        count(*) filter (where is_new_slot) over (partition by job_id order by updated_at) as slot_no,
        array_agg(arrived_at) filter (where arrived_at is not null) over of_job as arrivals,
        array_agg(updated_at) filter (where arrived_at is not null) over of_job as arrivals_told
    from compared
    window of_job as (partition by job_id)
),

promised as (
    select
        job_id,
        slot_no,
        arrivals,
        arrivals_told,
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
    group by job_id, slot_no, arrivals, arrivals_told
),

followed as (
    select
        *,
        lead(promised_at) over (partition by job_id order by slot_no) as moved_at,
        coalesce(lead(moved_here_by) over (partition by job_id order by slot_no), called_off_by) as moved_by
    from promised
),

-- An arrival may be told only together with the next slot: then it counts if it came before that was promised.
visited as (
    select
        *,
        exists(
            select 1
            from unnest(followed.arrivals, followed.arrivals_told) as told (arrived_at, updated_at)
            where
                told.updated_at >= followed.last_updated_at
                and told.arrived_at between followed.slot_starts_at and followed.slot_ends_at
                and told.arrived_at <= coalesce(followed.moved_at, 'infinity')
        ) as is_visited
    from followed
),

final as (
    select
        visited.job_id,
        visited.slot_no::integer as slot_no,
        jobs.kind,
        jobs.department_code,
        visited.promised_at,
        visited.slot_starts_at,
        visited.slot_ends_at,
        (visited.slot_ends_at at time zone 'Europe/Paris')::date as slot_date,
        case
            when visited.result = 'customer_absent' then 'customer_absent'
            when visited.is_visited then 'kept'
            when visited.result = 'technician_absent' then 'technician_absent'
            when visited.result = 'cancelled' and visited.closed_at < visited.slot_starts_at then 'cancelled'
            -- Nobody moves a slot that is over.
            when visited.moved_at >= visited.slot_ends_at then 'missed'
            when visited.moved_by = 'customer' then 'moved_by_customer'
            when visited.moved_by = 'operator' or visited.moved_at is not null then 'moved_by_operator'
            else 'missed'
        end as outcome
    from visited
    inner join jobs on visited.job_id = jobs.job_id
)

select * from final
