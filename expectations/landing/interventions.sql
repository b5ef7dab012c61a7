-- One row of measures for one delivery of the feed `interventions`: states of jobs. The first five unknown codes
-- are named. On Sundays and public holidays the units may rest: jobs are called off then, and none is attended.
-- `20` is Corsica where its two departments are not distinguished. A job comes again whenever it changes; its id is
-- another job's where its request and whom it is for are not those that the id had on another date.
with calendar as (
    select
        extract(isodow from %(business_date)s::date) < 7
        and not exists (
            select from unnest(%(holiday_calendars)s::text[], %(holiday_dates)s::text[]) as holiday (calendar, day)
            where holiday.calendar = 'FR' and holiday.day::date = %(business_date)s::date
        ) as is_working_day
),

week_ago as (
    select unit_code
    from raw.interventions
    where business_date = %(business_date)s::date - 7
    group by unit_code
    having count(*) >= 50
),

silent as (
    select array_to_string((array_agg(week_ago.unit_code order by week_ago.unit_code))[1:5], ', ') as silent_units
    from week_ago
    inner join calendar on calendar.is_working_day
    where not exists (
        select from {table} as states
        where states.unit_code = week_ago.unit_code
    )
),

busiest as (
    select
        states_of.kind,
        states_of.state_count,
        states_of.first_line
    from (
        select 'customer' as kind, count(*) as state_count, min(line_number) as first_line
        from {table}
        where customer_key is not null
        group by customer_key
        union all
        select 'line' as kind, count(*) as state_count, min(line_number) as first_line
        from {table}
        where line_key is not null
        group by line_key
    ) as states_of
    order by states_of.state_count desc, states_of.kind asc
    limit 1
),

-- Ids that other dates have too, each once, with the nearest of these dates.
repeated as (
    select distinct on (today.job_id)
        today.job_id,
        other.business_date,
        today.requested_at <> other.requested_at and (
            today.line_key is distinct from other.line_key
            or today.customer_key is distinct from other.customer_key
            or today.department_code <> other.department_code
        ) as is_of_another
    from {table} as today
    inner join raw.interventions as other on today.job_id = other.job_id
    where other.business_date = any(%(near_dates)s::date[])
    order by
        today.job_id asc, abs(other.business_date - %(business_date)s::date), other.business_date asc,
        other.updated_at desc, today.updated_at asc
),

ids as (
    select
        (select count(distinct job_id) from {table}) as jobs,
        count(*) filter (where is_of_another) as ids_of_others,
        to_char(mode() within group (order by business_date) filter (where is_of_another), 'YYYY-MM-DD') as other_date
    from repeated
),

states_of_hours as (
    select
        extract(hour from updated_at at time zone 'Europe/Paris')::integer as hour,
        count(*) as states
    from {table}
    group by extract(hour from updated_at at time zone 'Europe/Paris')::integer
),

profile as (
    select array_agg(coalesce(states_of_hours.states, 0) order by hours.hour) as states_by_hour
    from generate_series(0, 23) as hours (hour)
    left join states_of_hours on hours.hour = states_of_hours.hour
),

counted as (
    select
        count(*) as states,
        count(*) filter (where kind = 'installation') as installations,
        count(closed_at) as closed,
        count(*) filter (where closed_at is not null and result <> 'cancelled') as attended,
        count(*) filter (where closed_at is not null and result = 'done') as done,
        count(*) filter (where closed_at is not null and result = 'incomplete') as incomplete,
        count(*) filter (where closed_at is not null and result = 'customer_absent') as customer_absent,
        count(*) filter (where closed_at is not null and result = 'technician_absent') as technician_absent,
        count(*) filter (where closed_at is not null and result = 'cancelled') as cancelled,
        count(*) filter (where closed_at is not null and result is null) as closed_without_result,
        count(result) as with_result,
        count(*) filter (where result is not null and closed_at is null) as result_without_closed_at,
        count(*) filter (
            where updated_at < %(business_date)s::date::timestamp at time zone 'Europe/Paris'
            or updated_at >= (%(business_date)s::date + 1)::timestamp at time zone 'Europe/Paris'
        ) as updated_elsewhere,
        count(*) filter (where greatest(requested_at, arrived_at, closed_at) > updated_at) as ahead,
        count(coalesce(slot_start, slot_end)) as with_slot,
        count(*) filter (where coalesce(slot_start, slot_end) is not null and first_slot_offered_at is null)
            as slot_without_offer,
        count(*) filter (where (slot_start is null) <> (slot_end is null)) as half_slot,
        count(first_slot_offered_at) as with_offer,
        count(*) filter (where first_slot_offered_at < requested_at) as offer_before_request,
        count(*) filter (where customer_key is null) as without_customer,
        count(*) filter (where line_key is null) as without_line,
        count(*) filter (where unit_code <> all(%(known_unit_codes)s::text[])) as unknown_unit_states,
        count(*) filter (where department_code <> all(%(known_departments)s::text[] || '{{20,975}}'))
            as unknown_department_states
    from {table}
)

select
    counted.*,
    case when is_working_day then states end as working_day_states,
    busiest.kind as busiest_kind,
    coalesce(busiest.state_count, 0) as busiest_states,
    busiest.first_line as busiest_line,
    ids.jobs,
    ids.ids_of_others,
    ids.other_date,
    profile.states_by_hour,
    silent.silent_units,
    case when unknown_unit_states > 0 then (
        select array_to_string((array_agg(distinct left(unit_code, 40)))[1:5], ', ') from {table}
        where unit_code <> all(%(known_unit_codes)s::text[])
    ) end as unknown_units,
    case when unknown_department_states > 0 then (
        select array_to_string((array_agg(distinct left(department_code, 40)))[1:5], ', ') from {table}
        where department_code <> all(%(known_departments)s::text[] || '{{20,975}}')
    ) end as unknown_departments
from counted
cross join calendar
cross join silent
cross join ids
cross join profile
left join busiest on true
