{{ directorate_work('mart_site_work_weekly', ['period_start_date', 'period_end_date']) }}
