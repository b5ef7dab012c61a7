-- One row of measures for one delivery of the feed `calls`.
-- Shares need a sample: 100 legs (or answered legs, or transfers); what only a national day must have is
-- measured from 1,000 legs over several sites on. The first five unknown codes are named.
-- `20` is Corsica where its two departments are not told apart; loading has told of masked
-- numbers (`***`). On Sundays and public holidays sites may rest.
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
    where not exists (select from {table} as today where today.site_code = week_ago.site_code)
),

counted as (
    select
        count(*) as legs,
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
        avg(talk_s) filter (where outcome = 'answered') as talk_seconds,
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
                    select later.call_id, later.leg_no from {table} as later where later.leg_no > 1
                )
        ) as transferred_on,
        count(*) filter (where leg_no = 2) as second,
        count(*) filter (
            where leg_no = 1 and call_id in (select later.call_id from {table} as later where later.leg_no = 2)
        ) as first_of_several,
        count(*) filter (
            where market <> (%(number_markets)s::text[])[array_position(%(known_numbers)s::text[], dialled_number)]
        ) as other_market,
        count(*) filter (where site_code <> all (%(known_site_codes)s::text[])) as unknown_site_legs,
        count(*) filter (where dialled_number <> all (%(known_numbers)s::text[] || '{{***}}')) as unknown_number_legs,
        count(*) filter (where line_department <> all (%(known_departments)s::text[] || '{{20,975}}'))
            as unknown_department_legs,
        min(site_code) < max(site_code) as has_several_sites
    from {table}
),

sampled as (
    select
        *,
        case when legs >= 100 then legs end as sample_legs,
        case when answered >= 100 then answered end as sample_answered,
        case when transferred >= 100 then transferred end as sample_transferred,
        case when second >= 100 then second end as sample_second,
        case when legs >= 1000 and has_several_sites then legs end as national_legs,
        case when legs >= 1000 then legs end as full_day_legs
    from counted
    cross join silent
)

select
    legs,
    100.0 * legs / nullif(%(usual_rows)s::float8, 0) as percent_of_usual,
    case when %(like_days)s::float8 >= 4 then 100.0 * legs / nullif(%(usual_rows)s::float8, 0) end
        as percent_of_usual_over_4_days,
    100.0 * answered / sample_legs as answered_percent,
    100.0 * abandoned / sample_legs as abandoned_percent,
    100.0 * ivr_resolved / sample_legs as ivr_resolved_percent,
    100.0 * overflowed / sample_legs as overflowed_percent,
    100.0 * blocked / sample_legs as blocked_percent,
    100.0 * fixe / national_legs as fixe_percent,
    100.0 * internet / national_legs as internet_percent,
    100.0 * withheld / national_legs as withheld_percent,
    100.0 * without_region / national_legs as without_region_percent,
    100.0 * without_customer / sample_legs as without_customer_percent,
    100.0 * answered_without_talk / sample_answered as answered_without_talk_percent,
    100.0 * answered_without_site / sample_answered as answered_without_site_percent,
    100.0 * answered_without_agent / sample_answered as answered_without_agent_percent,
    case when sample_answered is not null then talk_seconds end as mean_talk_seconds,
    100.0 * before_noon / full_day_legs as before_noon_percent,
    100.0 * after_three / full_day_legs as after_three_percent,
    100.0 * (transferred - transferred_on) / sample_transferred as transfers_lost_percent,
    100.0 * (second - first_of_several) / sample_second as legs_without_first_percent,
    100.0 * other_market / sample_legs as other_market_percent,
    silent_sites,
    unknown_site_legs,
    case when unknown_site_legs > 0 then (
        select array_to_string((array_agg(distinct site_code))[1:5], ', ') from {table}
        where site_code <> all (%(known_site_codes)s::text[])
    ) end as unknown_sites,
    unknown_number_legs,
    case when unknown_number_legs > 0 then (
        select array_to_string((array_agg(distinct dialled_number))[1:5], ', ') from {table}
        where dialled_number <> all (%(known_numbers)s::text[] || '{{***}}')
    ) end as unknown_numbers,
    unknown_department_legs,
    case when unknown_department_legs > 0 then (
        select array_to_string((array_agg(distinct line_department))[1:5], ', ') from {table}
        where line_department <> all (%(known_departments)s::text[] || '{{20,975}}')
    ) end as unknown_departments
from sampled
