with zones as (
    select * from {{ ref('zones') }}
),

zone_hours as (
    select * from {{ ref('zone_hours') }}
),

public_holidays as (
    select * from {{ ref('public_holidays') }}
),

-- From the local day before the first calls (overseas clocks are behind) to the switch's horizon.
horizon as (
    select
        min(business_date) - 1 as first_date,
        max(business_date) + {{ var('routing_window_days') }} as last_date
    from {{ ref('stg_ledger__deliveries') }}
    where feed = 'calls' and status = 'published'
),

dates as (
    select generate_series(first_date::timestamp, last_date::timestamp, interval '1 day')::date as local_date
    from horizon
),

final as (
    select
        zones.zone_code,
        dates.local_date,
        (dates.local_date + zone_hours.opens_at) at time zone zones.time_zone as opens_at,
        (dates.local_date + zone_hours.closes_at) at time zone zones.time_zone as closes_at
    from dates
    inner join zone_hours on extract(isodow from dates.local_date) = zone_hours.weekday
    inner join zones on zone_hours.zone_code = zones.zone_code
    left join public_holidays
        on zones.holiday_calendar = public_holidays.holiday_calendar
        and dates.local_date = public_holidays.holiday_date
    where public_holidays.holiday_date is null
)

select * from final
