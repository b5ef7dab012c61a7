-- Each key is there in full, and once: the columns that `meta.key` of a model or seed names. Those of the rollout's
-- effects have a test of their own.
{{ config(meta={'asserts_of_each': 'key'}) }}

{{ broken_keys([
    'agg_charted_weeks', 'agg_offshore_daily', 'agg_rollout_panel_weekly', 'contact_reasons', 'department_directorate',
    'departments', 'dim_boutique',
    'dim_date', 'dim_department', 'dim_directorate', 'dim_intervention_unit', 'dim_region', 'dim_site', 'directorates',
    'feed_calendar', 'figure_windows', 'freeze_windows', 'handling_costs',
    'int_boutiques', 'int_built_deliveries', 'int_homes', 'int_names',
    'intervention_units', 'mart_answer_costs_monthly', 'mart_answers_by_reason_daily',
    'mart_answers_by_site_daily', 'mart_answers_daily',
    'mart_boutique_monthly', 'mart_boutique_rates', 'mart_boutique_visits_daily', 'mart_boutique_wait_histogram_daily',
    'mart_boutique_wait_percentiles', 'mart_boutiques_daily', 'mart_cross_channel_daily', 'mart_cross_channel_rates',
    'mart_directorate_scorecard_daily', 'mart_directorate_work_daily', 'mart_directorate_work_weekly',
    'mart_feed_health', 'mart_field_units_daily', 'mart_finality_daily', 'mart_home_gap_monthly',
    'mart_intervention_rates',
    'mart_intervention_time_histogram_daily', 'mart_intervention_time_percentiles', 'mart_interventions_daily',
    'mart_offshore_weekly', 'mart_parc_rollout', 'mart_parc_rollout_daily',
    'mart_parc_waves_weekly', 'mart_process_behaviour',
    'mart_repeat_calls_daily', 'mart_routing_demand_half_hourly', 'mart_service_quality_daily',
    'mart_service_quality_department_daily', 'mart_service_quality_half_hourly',
    'mart_service_quality_rates', 'mart_site_load_half_hourly', 'mart_site_work_daily', 'mart_site_work_weekly',
    'mart_visits_after_calls_daily', 'mart_wait_histogram_daily', 'mart_wait_percentiles',
    'numbering_default', 'public_holidays', 'regions', 'rollout_plan', 'route_sites', 'routing_department_zones',
    'routing_freeze_windows', 'routing_prefixes', 'routing_rollout', 'routing_routes', 'routing_services',
    'routing_site_positions', 'routing_sites', 'routing_windows', 'routing_zone_clocks', 'routing_zones',
    'service_numbers', 'site_positions', 'sites', 'zone_hours', 'zones'
]) }}
