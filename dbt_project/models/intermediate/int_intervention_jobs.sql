with states as (
    select *
    from {{ ref('int_intervention_states') }}
    {% if is_incremental() -%}
        where {{ is_changed_job() }}
    {%- endif %}
),

-- A state that several extracts hold is one: the earliest keeps it.
numbered as (
    select
        *,
        row_number() over (partition by job_id, updated_at order by business_date) as copy_number
    from states
),

newest as (
    select distinct on (job_id)
        *,
        count(*) filter (where copy_number = 1) over (partition by job_id) as state_count,
        count(*) filter (where copy_number > 1) over (partition by job_id) as duplicate_state_count
    from numbered
    order by job_id asc, updated_at desc, copy_number asc
),

final as (
    select
        job_id,
        identity_key,
        is_identified,
        customer_key,
        line_key,
        unit_code,
        kind,
        market,
        department_code,
        requested_at,
        (requested_at at time zone 'Europe/Paris')::date as requested_date,
        first_slot_offered_at,
        slot_starts_at,
        slot_ends_at,
        rescheduled_by,
        arrived_at,
        closed_at,
        (closed_at at time zone 'Europe/Paris')::date as closed_date,
        result,
        cause_code,
        state_count::integer as state_count,
        duplicate_state_count::integer as duplicate_state_count,
        updated_at as last_updated_at,
        business_date
    from newest
)

select * from final
