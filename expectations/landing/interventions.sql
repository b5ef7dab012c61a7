-- One row of measures for one delivery of the feed `interventions`: states of jobs.
-- Shares need a sample: 100 states (or closed ones, or those with a result, a slot, a first offer), and so does
-- volume; what only a full day must have is measured from 1,000 states on. The first five unknown codes are
-- named. On Sundays and public holidays the units may rest. `20` is Corsica where its two departments are not
-- told apart.
with calendar as (
    select
        extract(isodow from %(business_date)s::date) < 7
        and not exists (
            select from unnest(%(holiday_calendars)s::text[], %(holiday_dates)s::text[]) as holiday (calendar, day)
            where holiday.calendar = 'FR' and holiday.day::date = %(business_date)s::date
        ) as is_working_day
),

silent as (
    select array_to_string((array_agg(known.unit_code order by known.unit_code))[1:5], ', ') as units
    from unnest(%(known_unit_codes)s::text[]) as known (unit_code)
    where not exists (select from {table} as states where states.unit_code = known.unit_code)
),

counted as (
    select
        count(*) as states,
        count(*) filter (where kind = 'installation') as installations,
        count(closed_at) as closed,
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
        count(*) filter (where unit_code <> all (%(known_unit_codes)s::text[])) as unknown_unit_states,
        count(*) filter (where department_code <> all (%(known_departments)s::text[] || '{{20,975}}'))
            as unknown_department_states
    from {table}
),

sampled as (
    select
        *,
        case when is_working_day then states end as working_day_states,
        case when %(usual_rows)s::float8 >= 100 then %(usual_rows)s::float8 end as usual_states,
        case when states >= 100 then states end as sample_states,
        case when states >= 1000 and is_working_day then states end as full_day_states,
        case when closed >= 100 then closed end as sample_closed,
        case when closed >= 1000 then closed end as full_day_closed,
        case when with_result >= 100 then with_result end as sample_with_result,
        case when with_slot >= 100 then with_slot end as sample_with_slot,
        case when with_offer >= 100 then with_offer end as sample_with_offer
    from counted
    cross join silent
    cross join calendar
)

select
    states,
    working_day_states,
    100.0 * states / usual_states as percent_of_usual,
    case when %(like_days)s::float8 >= 4 then 100.0 * states / usual_states end as percent_of_usual_over_4_days,
    closed,
    with_result,
    with_slot,
    with_offer,
    100.0 * installations / full_day_states as installation_percent,
    100.0 * closed / full_day_states as closed_percent,
    100.0 * done / sample_closed as done_percent,
    100.0 * done / full_day_closed as full_day_done_percent,
    100.0 * incomplete / sample_closed as incomplete_percent,
    100.0 * customer_absent / sample_closed as customer_absent_percent,
    100.0 * technician_absent / sample_closed as technician_absent_percent,
    100.0 * cancelled / sample_closed as cancelled_percent,
    100.0 * updated_elsewhere / sample_states as updated_elsewhere_percent,
    100.0 * ahead / sample_states as ahead_percent,
    100.0 * closed_without_result / sample_closed as closed_without_result_percent,
    100.0 * result_without_closed_at / sample_with_result as result_without_closed_at_percent,
    100.0 * slot_without_offer / sample_with_slot as slot_without_offer_percent,
    100.0 * half_slot / sample_with_slot as half_slot_percent,
    100.0 * offer_before_request / sample_with_offer as offer_before_request_percent,
    100.0 * without_customer / sample_states as without_customer_percent,
    100.0 * without_line / sample_states as without_line_percent,
    case when is_working_day and states >= 100 * cardinality(%(known_unit_codes)s::text[]) then nullif(units, '') end
        as silent_units,
    unknown_unit_states,
    case when unknown_unit_states > 0 then (
        select array_to_string((array_agg(distinct unit_code))[1:5], ', ') from {table}
        where unit_code <> all (%(known_unit_codes)s::text[])
    ) end as unknown_units,
    unknown_department_states,
    case when unknown_department_states > 0 then (
        select array_to_string((array_agg(distinct department_code))[1:5], ', ') from {table}
        where department_code <> all (%(known_departments)s::text[] || '{{20,975}}')
    ) end as unknown_departments
from sampled
