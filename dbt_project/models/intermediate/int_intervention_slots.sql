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

-- A state without a slot belongs to the last one promised: it says who called it off, or how it ended.
numbered as (
    select
        *,
        count(*) filter (where is_new_slot) over (partition by job_id order by updated_at) as slot_no,
        array_agg(arrived_at) filter (where arrived_at is not null) over of_job as arrivals,
        array_agg(updated_at) filter (where arrived_at is not null) over of_job as arrivals_reported_at
    from compared
    window of_job as (partition by job_id)
),

slot_states as (
    select
        *,
        max(updated_at) filter (where has_slot) over of_slot as last_slot_update_at,
        max(slot_ends_at) filter (where has_slot) over of_slot as promised_until
    from numbered
    where slot_no > 0
    window of_slot as (partition by job_id, slot_no)
),

-- Called off by a state that has no slot any more: while the job is open, or with the name of who did it.
called_off as (
    select
        *,
        min(updated_at) filter (
            where updated_at > last_slot_update_at and (result is null or rescheduled_by is not null)
        ) over (partition by job_id, slot_no) as called_off_at
    from slot_states
),

-- What is reported of the job after its slot was called off in time does not belong to the slot.
promised as (
    select
        job_id,
        slot_no,
        arrivals,
        arrivals_reported_at,
        last_slot_update_at,
        called_off_at,
        min(slot_starts_at) filter (where has_slot) as slot_starts_at,
        min(slot_ends_at) filter (where has_slot) as slot_ends_at,
        min(updated_at) as promised_at,
        (array_agg(rescheduled_by order by updated_at))[1] as moved_here_by,
        (
            array_agg(rescheduled_by order by updated_at) filter (
                where updated_at >= called_off_at and rescheduled_by is not null
            )
        )[1] as called_off_by,
        (
            array_agg(result order by updated_at desc) filter (
                where (updated_at > called_off_at and called_off_at < promised_until) is not true
            )
        )[1] as result,
        (
            array_agg(closed_at order by updated_at desc) filter (
                where (updated_at > called_off_at and called_off_at < promised_until) is not true
            )
        )[1] as closed_at
    from called_off
    group by job_id, slot_no, arrivals, arrivals_reported_at, last_slot_update_at, called_off_at
),

given_up as (
    select
        *,
        least(called_off_at, lead(promised_at) over in_order) as given_up_at,
        coalesce(called_off_by, lead(moved_here_by) over in_order) as given_up_by
    from promised
    window in_order as (partition by job_id order by slot_no)
),

-- An arrival may be reported only when the slot is given up: then it counts if it happened before that.
visited as (
    select
        *,
        exists(
            select 1
            from unnest(given_up.arrivals, given_up.arrivals_reported_at) as reported (arrived_at, updated_at)
            where
                reported.updated_at >= given_up.last_slot_update_at
                and reported.arrived_at between given_up.slot_starts_at and given_up.slot_ends_at
                and reported.arrived_at <= coalesce(given_up.given_up_at, 'infinity')
        ) as is_visited
    from given_up
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
            -- Nobody gives up a slot that is over.
            when (visited.given_up_at < visited.slot_ends_at) is not true then 'missed'
            when visited.given_up_by = 'customer' then 'moved_by_customer'
            else 'moved_by_operator'
        end as outcome
    from visited
    inner join jobs on visited.job_id = jobs.job_id
)

select * from final
