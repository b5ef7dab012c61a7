-- One row of measures for one delivery of the feed `boutique_visits`.
-- Shares need a sample: 100 visits (or served visits, or unserved ones), and so does volume; what only a full
-- day must have is measured from 1,000 visits on. The first five unknown codes are named.
-- On Sundays and public holidays a boutique opens as it likes: none need be open, and volume says nothing.
-- Boutiques are those of the newest published snapshot dated on or before the day, else of the earliest.
with snapshot as (
    select coalesce(
        (select max(business_date) from raw.boutiques where business_date <= %(business_date)s::date),
        (select min(business_date) from raw.boutiques)
    ) as snapshot_date
),

known as (
    select
        boutiques.boutique_code,
        boutiques.opened_on <= %(business_date)s::date
        and coalesce(boutiques.closed_on, 'infinity') > %(business_date)s::date as is_open
    from raw.boutiques as boutiques
    inner join snapshot on boutiques.business_date = snapshot.snapshot_date
),

calendar as (
    select
        extract(isodow from %(business_date)s::date) < 7
        and not exists (
            select from unnest(%(holiday_calendars)s::text[], %(holiday_dates)s::text[]) as holiday (calendar, day)
            where holiday.calendar = 'FR' and holiday.day::date = %(business_date)s::date
        ) as is_working_day
),

heard as (
    select
        count(*) as open_boutiques,
        count(*) filter (where visited.boutique_code is null) as silent_boutiques
    from known
    left join (select distinct boutique_code from {table}) as visited on known.boutique_code = visited.boutique_code
    where known.is_open
),

counted as (
    select
        count(*) as visits,
        count(*) filter (where outcome in ('served', 'sale')) as served,
        count(*) filter (where outcome = 'sale') as sale,
        count(*) filter (where outcome = 'left_unserved') as left_unserved,
        count(*) filter (where customer_key is null) as without_customer,
        count(*) filter (where outcome in ('served', 'sale') and served_at is null) as served_without_served_at,
        count(*) filter (where outcome = 'left_unserved' and served_at is not null) as unserved_with_served_at,
        count(*) filter (
            where arrived_at < (%(business_date)s::date + time '12:00') at time zone 'Europe/Paris'
        ) as before_noon,
        count(*) filter (
            where arrived_at >= (%(business_date)s::date + time '15:00') at time zone 'Europe/Paris'
        ) as after_three,
        count(*) filter (where known.boutique_code is null) as unknown_boutique_visits,
        count(*) filter (where not known.is_open) as closed_boutique_visits
    from {table} as visits
    left join known on visits.boutique_code = known.boutique_code
),

sampled as (
    select
        *,
        case when is_working_day then visits end as working_day_visits,
        case when is_working_day and %(usual_rows)s::float8 >= 100 then %(usual_rows)s::float8 end as usual_visits,
        case when visits >= 100 then visits end as sample_visits,
        case when served >= 100 then served end as sample_served,
        case when left_unserved >= 100 then left_unserved end as sample_unserved,
        case when visits >= 1000 then visits end as full_day_visits,
        case when is_working_day and visits >= 10 * open_boutiques then nullif(open_boutiques, 0) end as sample_boutiques
    from counted
    cross join heard
    cross join calendar
    cross join snapshot
)

select
    visits,
    working_day_visits,
    100.0 * visits / usual_visits as percent_of_usual,
    case when %(like_days)s::float8 >= 4 then 100.0 * visits / usual_visits end as percent_of_usual_over_4_days,
    100.0 * served / sample_visits as served_percent,
    100.0 * left_unserved / sample_visits as left_unserved_percent,
    100.0 * left_unserved / full_day_visits as full_day_left_unserved_percent,
    100.0 * sale / full_day_visits as full_day_sale_percent,
    100.0 * without_customer / sample_visits as without_customer_percent,
    100.0 * served_without_served_at / sample_served as served_without_served_at_percent,
    100.0 * unserved_with_served_at / sample_unserved as unserved_with_served_at_percent,
    100.0 * before_noon / full_day_visits as before_noon_percent,
    100.0 * after_three / full_day_visits as after_three_percent,
    open_boutiques,
    silent_boutiques,
    100.0 * silent_boutiques / sample_boutiques as silent_boutiques_percent,
    case when snapshot_date is not null then closed_boutique_visits end as closed_boutique_visits,
    to_char(snapshot_date, 'YYYY-MM-DD') as snapshot,
    case when snapshot_date is not null then unknown_boutique_visits end as unknown_boutique_visits,
    case when snapshot_date is not null and unknown_boutique_visits > 0 then (
        select array_to_string((array_agg(distinct boutique_code))[1:5], ', ') from {table}
        where boutique_code not in (select known.boutique_code from known)
    ) end as unknown_boutiques
from sampled
