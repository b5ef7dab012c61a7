with states as (
    select *
    from {{ ref('stg_interventions__states') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- else -%}
        where business_date in (
            select business_date from {{ ref('int_built_deliveries') }}
            where feed = 'interventions'
        )
    {%- endif %}
),

final as (
    select
        business_date,
        job_id,
        updated_at,
        unit_code,
        kind,
        market,
        coalesce(customer_identity, row_identity) as identity_key,
        customer_identity is not null as is_identified,
        customer_key,
        line_key,
        department_code,
        requested_at,
        first_slot_offered_at,
        slot_starts_at,
        slot_ends_at,
        rescheduled_by,
        arrived_at,
        closed_at,
        result,
        cause_code
    from states
)

select * from final
