-- Percentiles become tables; the next build makes them, and the views of directorates on them.

delete from ops.regional_view
where name in ('mart_wait_percentiles', 'mart_boutique_wait_percentiles', 'mart_intervention_time_percentiles');

drop view if exists regional.mart_wait_percentiles;
drop view if exists regional.mart_boutique_wait_percentiles;
drop view if exists regional.mart_intervention_time_percentiles;
drop view if exists marts.mart_wait_percentiles;
drop view if exists marts.mart_boutique_wait_percentiles;
drop view if exists marts.mart_intervention_time_percentiles;
