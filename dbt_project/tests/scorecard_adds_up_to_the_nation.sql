-- The directorates of a date, `unknown` included, add up to the national totals of each channel's own mart. Without the
-- channel's delivery they are null.
with scorecard as (
    select
        business_date,
        sum(offered_count) as offered_count,
        sum(answered_count) as answered_count,
        sum(own_site_answered_count) as own_site_answered_count,
        bool_and(is_calls_complete) as is_calls_complete,
        bool_and(is_boutique_visits_complete) as is_boutique_visits_complete,
        bool_and(is_interventions_complete) as is_interventions_complete,
        sum(active_line_stock) as active_line_stock,
        sum(visit_count) as visit_count,
        sum(open_boutique_stock) as open_boutique_stock,
        sum(requested_installation_count + requested_repair_count) as requested_count,
        sum(open_job_stock) as open_job_stock
    from {{ ref('mart_directorate_scorecard_daily') }}
    group by business_date
),

calls as (
    select
        business_date,
        sum(offered_count) as offered_count,
        sum(answered_count) as answered_count,
        sum(active_line_stock) as active_line_stock
    from {{ ref('mart_service_quality_daily') }}
    group by business_date
),

boutiques as (
    select
        business_date,
        sum(visit_count) as visit_count,
        sum(open_boutique_stock) as open_boutique_stock
    from {{ ref('mart_boutiques_daily') }}
    group by business_date
),

interventions as (
    select
        business_date,
        sum(requested_count) as requested_count,
        sum(open_job_stock) as open_job_stock,
        sum(active_line_stock) as active_line_stock
    from {{ ref('mart_interventions_daily') }}
    group by business_date
)

select business_date
from scorecard
full outer join calls using (business_date)
full outer join boutiques using (business_date)
full outer join interventions using (business_date)
where
    scorecard.business_date is null
    and coalesce(calls.business_date, boutiques.business_date) is not null
    or scorecard.offered_count is distinct from case
        when scorecard.is_calls_complete then coalesce(calls.offered_count, 0)
    end
    or scorecard.answered_count is distinct from case
        when scorecard.is_calls_complete then coalesce(calls.answered_count, 0)
    end
    or scorecard.own_site_answered_count is distinct from scorecard.answered_count
    or scorecard.active_line_stock <> calls.active_line_stock
    or scorecard.active_line_stock <> interventions.active_line_stock
    or scorecard.visit_count is distinct from case
        when scorecard.is_boutique_visits_complete then coalesce(boutiques.visit_count, 0)
    end
    or scorecard.open_boutique_stock is distinct from case
        when scorecard.is_boutique_visits_complete then coalesce(boutiques.open_boutique_stock, 0)
    end
    or scorecard.requested_count is distinct from case
        when scorecard.is_interventions_complete then coalesce(interventions.requested_count, 0)
    end
    or scorecard.open_job_stock is distinct from case
        when scorecard.is_interventions_complete then coalesce(interventions.open_job_stock, 0)
    end
