with visits as (
    select *
    from {{ ref('stg_boutique_visits__visits') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- else -%}
        where business_date in (
            select business_date from {{ ref('int_built_deliveries') }}
            where feed = 'boutique_visits'
        )
    {%- endif %}
),

final as (
    select
        business_date,
        visit_id,
        row_identity,
        coalesce(customer_identity, row_identity) as identity_key,
        customer_identity is not null as is_identified,
        customer_key,
        boutique_code,
        arrived_at,
        served_at,
        left_at,
        extract(epoch from served_at - arrived_at) as wait_seconds,
        reason_code,
        outcome,
        satisfaction
    from visits
)

select * from final
