"""What the page of the rollout asks the marts. Sums are divided here, never averaged.

Parameters: `market`, `day` (the newest if null) and `days` (how many of the newest dates count).
"""

HISTORY = """
with newest as (
    select max(business_date) as newest_date from marts.mart_parc_rollout_daily
)

select
    region_code,
    business_date,
    status,
    (sum(home_in_hours_count) over last_7_dates)::bigint as home_in_hours_count,
    (sum(in_hours_known_answered_count) over last_7_dates)::bigint as in_hours_known_answered_count
from marts.mart_parc_rollout_daily
cross join newest
where market = %(market)s and business_date > newest_date - %(days)s
window last_7_dates as (
    partition by region_code order by business_date range between interval '6 days' preceding and current row
)
order by region_code, business_date
"""

MAP = """
with newest as (
    select max(business_date) as business_date
    from marts.mart_parc_rollout_daily
    where business_date <= coalesce(%(day)s, 'infinity'::date)
)

select
    newest.business_date,
    region_code,
    dim_region.region_name,
    max(status) filter (where daily.business_date = newest.business_date) as status,
    max(planned_go_live_date) as planned_go_live_date,
    max(observed_go_live_date) as observed_go_live_date,
    sum(home_in_hours_count) as home_in_hours_count,
    sum(in_hours_known_answered_count) as in_hours_known_answered_count,
    round(sum(home_in_hours_count) / nullif(sum(in_hours_known_answered_count), 0), 4) as home_region_rate
from marts.mart_parc_rollout_daily as daily
inner join newest on daily.business_date between newest.business_date - 6 and newest.business_date
inner join marts.dim_region using (region_code)
where market = %(market)s
group by newest.business_date, region_code, dim_region.region_name
order by region_code
"""

WAVES = """
select
    wave,
    region_code,
    region_name,
    planned_go_live_date,
    observed_go_live_date,
    slip_days,
    status,
    as_of_date
from marts.mart_parc_rollout
inner join marts.dim_region using (region_code)
where market = %(market)s and wave is not null
order by wave, planned_go_live_date, region_code
"""

ANSWERS = """
with newest as (
    select max(date_trunc('week', business_date::timestamp)::date + 6) as newest_date
    from marts.mart_service_quality_daily
),

weeks as (
    select
        date_trunc('week', business_date::timestamp)::date as week_start_date,
        sum(home_in_hours_count)::bigint as home_in_hours,
        sum(home_off_hours_count)::bigint as home_off_hours,
        sum(other_directorate_count)::bigint as other_directorate,
        sum(offshore_in_hours_count)::bigint as offshore_in_hours,
        sum(offshore_off_hours_count)::bigint as offshore_off_hours,
        sum(other_site_count)::bigint as other_site,
        count(distinct business_date) = 7 as is_whole_period
    from marts.mart_service_quality_daily
    cross join newest
    where market = %(market)s and business_date > newest_date - %(days)s
    group by 1
)

select
    week_start_date,
    answered_by,
    answered_count,
    round(answered_count / nullif(sum(answered_count) over week, 0), 4) as answered_share,
    is_whole_period
from weeks
cross join lateral (
    values
    (1, 'home_in_hours', home_in_hours),
    (2, 'home_off_hours', home_off_hours),
    (3, 'other_directorate', other_directorate),
    (4, 'offshore_in_hours', offshore_in_hours),
    (5, 'offshore_off_hours', offshore_off_hours),
    (6, 'other_site', other_site)
) as answers (position, answered_by, answered_count)
window week as (partition by week_start_date)
order by week_start_date, position
"""
