-- Of the dates that this build recomputes, against all dates.
{{ config(meta={'feeds': ['boutique_visits']}) }}

select
    visits.business_date,
    visits.visit_id,
    count(*) as row_count
from {{ ref('fct_boutique_visits') }} as visits
inner join {{ ref('fct_boutique_visits') }} as same_visit on visits.visit_id = same_visit.visit_id
where {{ is_changed('visits.business_date') }}
group by visits.business_date, visits.visit_id
having count(*) > 1
