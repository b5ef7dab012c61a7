-- Of the jobs that this build recomputes, among themselves: no other build's job is one of them.
select
    job_id,
    count(*) as row_count
from {{ ref('fct_interventions') }}
where {{ is_changed_job() }}
group by job_id
having count(*) > 1
