-- One row of measures for one delivery of the feed `calls`. What only a national day must have is measured where
-- several sites are. The first five unknown codes are named. `20` is Corsica where its two departments are not
-- told apart; loading has reported masked numbers (`***`). On Sundays and public holidays sites may rest. A contact
-- is another's when its caller and customer are not those who had its id on another date; where neither is known,
-- when it dialled another number or lasted otherwise.
with calendar as (
    select
        extract(isodow from %(business_date)s::date) < 7
        and not exists (
            select from unnest(%(holiday_calendars)s::text[], %(holiday_dates)s::text[]) as holiday (calendar, day)
            where holiday.calendar = 'FR' and holiday.day::date = %(business_date)s::date
        ) as is_working_day
),

week_ago as (
    select site_code
    from raw.calls
    where business_date = %(business_date)s::date - 7
    group by site_code
    having count(*) >= 50
),

silent as (
    select string_agg(week_ago.site_code, ', ' order by week_ago.site_code) as silent_sites
    from week_ago
    inner join calendar on calendar.is_working_day
    where
        not exists (
            select from {table} as today
            where today.site_code = week_ago.site_code
        )
),

busiest as (
    select
        contacts.kind,
        contacts.contacts,
        contacts.first_line
    from (
        select 'customer' as kind, count(*) as contacts, min(line_number) as first_line
        from {table}
        where leg_no = 1 and customer_key is not null
        group by customer_key
        union all
        select 'caller number' as kind, count(*) as contacts, min(line_number) as first_line
        from {table}
        where leg_no = 1 and caller_key is not null
        group by caller_key
    ) as contacts
    order by contacts.contacts desc, contacts.kind desc
    limit 1
),

-- Ids that other dates have too, each once, with the nearest of these dates.
repeated as (
    select distinct on (today.call_id)
        today.call_id,
        other.business_date,
        (today.caller_key is distinct from other.caller_key)
        or (today.customer_key is distinct from other.customer_key)
        or coalesce(today.caller_key, today.customer_key) is null and (
            today.dialled_number <> other.dialled_number
            or today.ended_at - today.offered_at <> other.ended_at - other.offered_at
        ) as is_of_another
    from {table} as today
    inner join raw.calls as other on today.call_id = other.call_id
    where today.leg_no = 1 and other.leg_no = 1 and other.business_date = any(%(near_dates)s::date[])
    order by today.call_id, abs(other.business_date - %(business_date)s::date), other.business_date
),

ids as (
    select
        count(*) as ids_delivered_before,
        count(*) filter (where is_of_another) as ids_of_others,
        count(*) filter (where business_date > %(business_date)s::date) as ids_of_later_dates,
        to_char(mode() within group (order by business_date), 'YYYY-MM-DD') as other_date
    from repeated
),

legs_of_hours as (
    select
        extract(hour from offered_at at time zone 'Europe/Paris')::integer as hour,
        count(*) as legs
    from {table}
    group by extract(hour from offered_at at time zone 'Europe/Paris')::integer
),

profile as (
    select array_agg(coalesce(legs_of_hours.legs, 0) order by hours.hour) as legs_by_hour
    from generate_series(0, 23) as hours (hour)
    left join legs_of_hours on hours.hour = legs_of_hours.hour
),

counted as (
    select
        count(*) as legs,
        count(*) filter (where leg_no = 1) as contacts,
        count(*) filter (where outcome = 'answered') as answered,
        count(*) filter (where outcome = 'abandoned') as abandoned,
        count(*) filter (where outcome = 'ivr_resolved') as ivr_resolved,
        count(*) filter (where outcome = 'overflowed') as overflowed,
        count(*) filter (where outcome = 'blocked') as blocked,
        count(*) filter (where market = 'fixe') as fixe,
        count(*) filter (where market = 'internet') as internet,
        count(*) filter (where caller_key is null) as withheld,
        count(*) filter (where customer_key is null) as without_customer,
        count(*) filter (where caller_prefix is null and line_department is null) as without_region,
        count(*) filter (where outcome = 'answered' and talk_s is null) as answered_without_talk,
        count(*) filter (where outcome = 'answered' and site_code is null) as answered_without_site,
        count(*) filter (where outcome = 'answered' and agent_key is null) as answered_without_agent,
        count(*) filter (where outcome = 'answered' and talk_s is not null) as answered_with_talk,
        count(*) filter (where outcome = 'answered' and (talk_s < 10 or talk_s > 7200)) as odd_talk,
        count(*) filter (
            where offered_at < (%(business_date)s::date + time '12:00') at time zone 'Europe/Paris'
        ) as before_noon,
        count(*) filter (
            where offered_at >= (%(business_date)s::date + time '15:00') at time zone 'Europe/Paris'
        ) as after_three,
        count(*) filter (where transferred_to is not null) as transferred,
        count(*) filter (
            where transferred_to is not null
            and (call_id, leg_no + 1) in (
                select later.call_id, later.leg_no from {table} as later
                where later.leg_no > 1
            )
        ) as transferred_on,
        count(*) filter (where leg_no = 2) as second,
        count(*) filter (
            where leg_no = 1 and call_id in (
                select later.call_id from {table} as later
                where later.leg_no = 2
            )
        ) as first_of_several,
        count(*) filter (
            where market <> (%(number_markets)s::text[])[array_position(%(known_numbers)s::text[], dialled_number)]
        ) as other_market,
        count(*) filter (where site_code <> all(%(known_site_codes)s::text[])) as unknown_site_legs,
        count(*) filter (where dialled_number <> all(%(known_numbers)s::text[] || '{{***}}')) as unknown_number_legs,
        count(*) filter (where line_department <> all(%(known_departments)s::text[] || '{{20,975}}'))
            as unknown_department_legs,
        min(site_code) < max(site_code) as has_several_sites
    from {table}
)

select
    counted.*,
    case when has_several_sites then legs end as national_legs,
    transferred - transferred_on as transfers_lost,
    second - first_of_several as second_without_first,
    busiest.kind as busiest_kind,
    coalesce(busiest.contacts, 0) as busiest_contacts,
    busiest.first_line as busiest_line,
    ids.ids_delivered_before,
    ids.ids_of_others,
    ids.ids_of_later_dates,
    ids.other_date,
    profile.legs_by_hour,
    silent.silent_sites,
    case when unknown_site_legs > 0 then (
        select array_to_string((array_agg(distinct left(site_code, 40)))[1:5], ', ') from {table}
        where site_code <> all(%(known_site_codes)s::text[])
    ) end as unknown_sites,
    case when unknown_number_legs > 0 then (
        select array_to_string((array_agg(distinct left(dialled_number, 40)))[1:5], ', ') from {table}
        where dialled_number <> all(%(known_numbers)s::text[] || '{{***}}')
    ) end as unknown_numbers,
    case when unknown_department_legs > 0 then (
        select array_to_string((array_agg(distinct left(line_department, 40)))[1:5], ', ') from {table}
        where line_department <> all(%(known_departments)s::text[] || '{{20,975}}')
    ) end as unknown_departments
from counted
cross join silent
cross join ids
cross join profile
left join busiest on true
