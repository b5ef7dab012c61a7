-- One row of measures for one delivery of the feed `boutique_visits`.
-- The first five unknown codes are named. On Sundays and public holidays a boutique opens as it likes: none need be
-- open, and volume says nothing. Boutiques are those of the newest published snapshot dated on or before the day, else
-- of the earliest. A visit is another's when its customer is not the one who had its id on another date; where none is
-- known, when it was in another boutique, for another reason, or lasted otherwise.
with snapshot as (
    select coalesce(
        (
            select max(business_date) from raw.boutiques
            where business_date <= %(business_date)s::date
        ),
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

visited as (
    select distinct boutique_code from {table}
),

open_counts as (
    select
        count(*) as open_boutiques,
        count(*) filter (where visited.boutique_code is null) as silent_boutiques
    from known
    left join visited on known.boutique_code = visited.boutique_code
    where known.is_open
),

busiest as (
    select count(*) as most_visits, min(line_number) as first_line
    from {table}
    where customer_key is not null
    group by customer_key
    order by count(*) desc
    limit 1
),

-- Ids that other dates have too, each once, with the nearest of these dates.
repeated as (
    select distinct on (today.visit_id)
        today.visit_id,
        other.business_date,
        (today.customer_key is distinct from other.customer_key)
        or today.customer_key is null and (
            today.boutique_code <> other.boutique_code
            or today.reason_code <> other.reason_code
            or today.left_at - today.arrived_at <> other.left_at - other.arrived_at
        ) as is_of_another
    from {table} as today
    inner join raw.boutique_visits as other on today.visit_id = other.visit_id
    where other.business_date = any(%(near_dates)s::date[])
    order by today.visit_id, abs(other.business_date - %(business_date)s::date), other.business_date
),

ids as (
    select
        count(*) as ids_delivered_before,
        count(*) filter (where is_of_another) as ids_of_others,
        count(*) filter (where business_date > %(business_date)s::date) as ids_of_later_dates,
        to_char(mode() within group (order by business_date), 'YYYY-MM-DD') as other_date
    from repeated
),

visits_of_hours as (
    select
        extract(hour from arrived_at at time zone 'Europe/Paris')::integer as hour,
        count(*) as visits
    from {table}
    group by extract(hour from arrived_at at time zone 'Europe/Paris')::integer
),

profile as (
    select array_agg(coalesce(visits_of_hours.visits, 0) order by hours.hour) as visits_by_hour
    from generate_series(0, 23) as hours (hour)
    left join visits_of_hours on hours.hour = visits_of_hours.hour
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
        count(*) filter (where known.boutique_code is null) as in_unknown,
        count(*) filter (where not known.is_open) as in_closed
    from {table} as visits
    left join known on visits.boutique_code = known.boutique_code
)

select
    counted.*,
    case when is_working_day then visits end as working_day_visits,
    open_boutiques,
    case when is_working_day and visits >= 10 * open_boutiques then silent_boutiques end as silent_boutiques,
    case when snapshot_date is not null then in_closed end as closed_boutique_visits,
    to_char(snapshot_date, 'YYYY-MM-DD') as snapshot,
    case when snapshot_date is not null then in_unknown end as unknown_boutique_visits,
    coalesce(busiest.most_visits, 0) as busiest_visits,
    busiest.first_line as busiest_line,
    ids.ids_delivered_before,
    ids.ids_of_others,
    ids.ids_of_later_dates,
    ids.other_date,
    profile.visits_by_hour,
    case when snapshot_date is not null and in_unknown > 0 then (
        select array_to_string((array_agg(distinct left(boutique_code, 40)))[1:5], ', ') from {table}
        where boutique_code not in (select known.boutique_code from known)
    ) end as unknown_boutiques
from counted
cross join open_counts
cross join calendar
cross join snapshot
cross join ids
cross join profile
left join busiest on true
