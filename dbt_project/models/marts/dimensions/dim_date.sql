with public_holidays as (
    select * from {{ ref('public_holidays') }}
),

zones as (
    select * from {{ ref('zones') }}
),

holidays as (
    select
        holiday_date,
        max(holiday_name) filter (where holiday_calendar = 'FR') as holiday_name,
        string_agg(holiday_calendar, ', ' order by holiday_calendar) as holiday_calendars
    from public_holidays
    where holiday_calendar in (select zones.holiday_calendar from zones)
    group by holiday_date
),

-- The years that the holiday calendars cover.
dates as (
    select day::date as business_date
    from generate_series(timestamp '1999-01-01', timestamp '2035-12-31', interval '1 day') as day
),

final as (
    select
        dates.business_date,
        extract(isoyear from dates.business_date)::integer as iso_year,
        extract(week from dates.business_date)::integer as iso_week,
        date_trunc('week', dates.business_date::timestamp)::date as week_start_date,
        date_trunc('month', dates.business_date::timestamp)::date as month_date,
        extract(isodow from dates.business_date)::integer as weekday,
        holidays.holiday_name is not null as is_public_holiday,
        holidays.holiday_name,
        holidays.holiday_calendars,
        (extract(
            epoch from (dates.business_date + 1)::timestamp at time zone 'Europe/Paris'
            - dates.business_date::timestamp at time zone 'Europe/Paris'
        ) / 3600)::integer as hour_count
    from dates
    left join holidays on dates.business_date = holidays.holiday_date
)

select * from final
