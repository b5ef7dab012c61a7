with sites as (
    select * from {{ ref('agg_directorate_sites_daily') }}
),

service_quality as (
    select * from {{ ref('mart_service_quality_daily') }}
),

boutiques_daily as (
    select * from {{ ref('mart_boutiques_daily') }}
),

interventions_daily as (
    select * from {{ ref('mart_interventions_daily') }}
),

intervention_units as (
    select * from {{ ref('intervention_units') }}
),

calls as (
    select
        business_date,
        directorate_code,
        sum(offered_count) as offered_count,
        sum(answered_count) as answered_count,
        sum(abandoned_count) as abandoned_count,
        sum(short_abandoned_count) as short_abandoned_count,
        sum(answered_within_20s_count) as answered_within_20s_count,
        sum(wait_answered_seconds) as wait_answered_seconds,
        sum(home_in_hours_count) as home_in_hours_count,
        sum(in_hours_known_answered_count) as in_hours_known_answered_count,
        sum(identified_answered_count) as identified_answered_count,
        sum(repeat_7d_count) as repeat_7d_count,
        sum(survey_count) as survey_count,
        sum(satisfied_count) as satisfied_count,
        sum(active_line_count) as active_line_count,
        max(offered_person_count) as offered_person_count
    from service_quality
    group by 1, 2
),

boutiques as (
    select
        business_date,
        directorate_code,
        sum(open_boutique_count) as open_boutique_count,
        sum(visit_count) as visit_count,
        sum(served_count) as served_count,
        sum(left_unserved_count) as left_unserved_count,
        sum(wait_served_count) as wait_served_count,
        sum(wait_served_seconds) as wait_served_seconds,
        max(visit_person_count) as visit_person_count
    from boutiques_daily
    group by 1, 2
),

units as (
    select
        directorate_code,
        count(*) as unit_count
    from intervention_units
    group by 1
),

interventions as (
    select
        business_date,
        directorate_code,
        sum(requested_count) filter (where kind = 'installation') as requested_installation_count,
        sum(requested_count) filter (where kind = 'repair') as requested_repair_count,
        sum(done_count) as done_count,
        sum(done_with_line_count) as done_with_line_count,
        sum(first_time_right_count) as first_time_right_count,
        sum(appointment_count) as appointment_count,
        sum(appointment_kept_count) as appointment_kept_count,
        sum(open_count) as open_count,
        max(requested_person_count) filter (where kind = 'installation') as requested_installation_person_count,
        max(requested_person_count) filter (where kind = 'repair') as requested_repair_person_count
    from interventions_daily
    group by 1, 2
),

final as (
    select
        business_date,
        directorate_code,
        coalesce(calls.offered_count, 0)::bigint as offered_count,
        coalesce(calls.answered_count, 0)::bigint as answered_count,
        coalesce(calls.abandoned_count, 0)::bigint as abandoned_count,
        coalesce(calls.short_abandoned_count, 0)::bigint as short_abandoned_count,
        coalesce(calls.answered_within_20s_count, 0)::bigint as answered_within_20s_count,
        coalesce(calls.wait_answered_seconds, 0)::numeric(16, 6) as wait_answered_seconds,
        coalesce(calls.home_in_hours_count, 0)::bigint as home_in_hours_count,
        coalesce(calls.in_hours_known_answered_count, 0)::bigint as in_hours_known_answered_count,
        coalesce(calls.identified_answered_count, 0)::bigint as identified_answered_count,
        coalesce(calls.repeat_7d_count, 0)::bigint as repeat_7d_count,
        coalesce(calls.survey_count, 0)::bigint as survey_count,
        coalesce(calls.satisfied_count, 0)::bigint as satisfied_count,
        calls.active_line_count::bigint as active_line_count,
        sites.site_count,
        sites.answered_count as own_site_answered_count,
        sites.handle_seconds as own_site_handle_seconds,
        coalesce(boutiques.open_boutique_count, 0)::bigint as open_boutique_count,
        coalesce(boutiques.visit_count, 0)::bigint as visit_count,
        coalesce(boutiques.served_count, 0)::bigint as served_count,
        coalesce(boutiques.left_unserved_count, 0)::bigint as left_unserved_count,
        coalesce(boutiques.wait_served_count, 0)::bigint as wait_served_count,
        coalesce(boutiques.wait_served_seconds, 0)::numeric(16, 6) as wait_served_seconds,
        coalesce(units.unit_count, 0) as unit_count,
        coalesce(interventions.requested_installation_count, 0)::bigint as requested_installation_count,
        coalesce(interventions.requested_repair_count, 0)::bigint as requested_repair_count,
        coalesce(interventions.done_count, 0)::bigint as done_count,
        coalesce(interventions.done_with_line_count, 0)::bigint as done_with_line_count,
        coalesce(interventions.first_time_right_count, 0)::bigint as first_time_right_count,
        coalesce(interventions.appointment_count, 0)::bigint as appointment_count,
        coalesce(interventions.appointment_kept_count, 0)::bigint as appointment_kept_count,
        coalesce(interventions.open_count, 0)::bigint as open_count,
        coalesce(calls.offered_person_count, 0) as offered_person_count,
        coalesce(boutiques.visit_person_count, 0) as visit_person_count,
        coalesce(interventions.requested_installation_person_count, 0) as requested_installation_person_count,
        coalesce(interventions.requested_repair_person_count, 0) as requested_repair_person_count
    from sites
    left join calls using (business_date, directorate_code)
    left join boutiques using (business_date, directorate_code)
    left join units using (directorate_code)
    left join interventions using (business_date, directorate_code)
)

select * from final
