with changed_visits as not materialized (
    select *
    from {{ ref('stg_boutique_visits__visits') }}
    where {{ is_changed() }}
),

changed_keys as (
    select
        business_date,
        visit_id
    from changed_visits
),

-- The earliest date keeps a visit_id.
sharing_dates as (
    {{ dates_sharing('fct_boutique_visits', 'visit_id', 'changed_keys', 'int_boutique_visit_cross_date_duplicates') }}
),

sharing_visits as (
    select * from {{ rows_on(ref('stg_boutique_visits__visits'), 'sharing_dates') }}
),

visits as (
    select * from changed_visits
    union all
    select * from sharing_visits
),

final as (
    select
        business_date,
        visit_id,
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
