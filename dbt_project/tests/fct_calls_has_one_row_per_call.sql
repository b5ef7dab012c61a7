-- Of the dates that this build recomputes, against all dates.
{{ config(meta={'feeds': ['calls']}) }}

select
    calls.business_date,
    calls.call_id,
    count(*) as row_count
from {{ ref('fct_calls') }} as calls
inner join {{ ref('fct_calls') }} as same_call on calls.call_id = same_call.call_id
where {{ is_changed('calls.business_date') }}
group by calls.business_date, calls.call_id
having count(*) > 1
