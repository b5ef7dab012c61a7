-- The directorates of a date, `unknown` included, add up to the national totals of each channel's own mart.
with scorecard as (
    select
        business_date,
        sum(offered_count) as offered_count,
        sum(answered_count) as answered_count,
        sum(own_site_answered_count) as own_site_answered_count,
        sum(active_line_count) as active_line_count,
        sum(visit_count) as visit_count,
        sum(open_boutique_count) as open_boutique_count,
        sum(requested_installation_count + requested_repair_count) as requested_count,
        sum(open_count) as open_count
    from {{ ref('mart_directorate_scorecard_daily') }}
    group by business_date
),

calls as (
    select
        business_date,
        sum(offered_count) as offered_count,
        sum(answered_count) as answered_count,
        sum(active_line_count) as active_line_count
    from {{ ref('mart_service_quality_daily') }}
    group by business_date
),

boutiques as (
    select
        business_date,
        sum(visit_count) as visit_count,
        sum(open_boutique_count) as open_boutique_count
    from {{ ref('mart_boutiques_daily') }}
    group by business_date
),

interventions as (
    select
        business_date,
        sum(requested_count) as requested_count,
        sum(open_count) as open_count
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
    or scorecard.offered_count <> coalesce(calls.offered_count, 0)
    or scorecard.answered_count <> coalesce(calls.answered_count, 0)
    or scorecard.own_site_answered_count <> coalesce(calls.answered_count, 0)
    or scorecard.active_line_count is distinct from calls.active_line_count
    or scorecard.visit_count <> coalesce(boutiques.visit_count, 0)
    or scorecard.open_boutique_count <> coalesce(boutiques.open_boutique_count, 0)
    or scorecard.requested_count <> coalesce(interventions.requested_count, 0)
    or scorecard.open_count <> coalesce(interventions.open_count, 0)
