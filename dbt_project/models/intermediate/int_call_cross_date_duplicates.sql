with roots as (
    select business_date, call_id, leg_count
    from {{ ref('int_call_roots') }}
),

kept_earlier as (
    select
        later.business_date,
        later.call_id,
        later.leg_count,
        earlier.business_date as kept_business_date
    from roots as later
    inner join roots as earlier
        on later.call_id = earlier.call_id
        and later.business_date > earlier.business_date
    union all
    select
        business_date,
        call_id,
        leg_count,
        published_date as kept_business_date
    from {{ published_elsewhere('fct_calls', 'call_id', 'roots') }}
    where published_date < business_date
),

final as (
    select
        business_date,
        call_id,
        min(kept_business_date) as kept_business_date,
        min(leg_count) as leg_count
    from kept_earlier
    group by business_date, call_id
)

select * from final
