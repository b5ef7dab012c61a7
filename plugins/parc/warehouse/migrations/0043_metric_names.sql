-- Metrics have one name each, that of dbt_project/macros/metrics.sql.

update ops.rollout_effect set outcome = 'repeat_7d_rate' where outcome = 'repeat_rate';
update ops.rollout_effect set outcome = 'resolved_by_customer_file_share' where outcome = 'identified_share';
