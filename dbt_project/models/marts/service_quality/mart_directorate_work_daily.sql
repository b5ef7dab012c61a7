{{ directorate_work('mart_site_work_daily', ['business_date']) }}
