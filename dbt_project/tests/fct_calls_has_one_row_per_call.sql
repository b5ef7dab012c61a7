-- Of the dates that this build recomputes, against all dates.
{{ config(meta={'feeds': ['calls']}) }}

with calls as (
    select
        business_date,
        call_id
    from {{ ref('fct_calls') }}
),

copies as (
    select
        business_date,
        call_id
    from calls
    union all
    select
        published_date as business_date,
        call_id
    from {{ published_elsewhere('fct_calls', 'call_id', 'calls') }}
)

select
    min(business_date) as business_date,
    call_id,
    count(*) as row_count
from copies
group by call_id
having count(*) > 1
