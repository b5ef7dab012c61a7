-- Up to the newest date that any feed has in the ledger; of later dates, those that were looked for in vain.
with calendar as (
    select * from {{ ref('feed_calendar') }}
),

deliveries as (
    select * from {{ ref('stg_ledger__deliveries') }}
    where status <> 'withdrawn' and is_misdated is not true
),

looked_for as (
    select * from {{ ref('stg_ledger__looked_for') }}
),

ledger as (
    select
        min(business_date) as first_date,
        max(business_date) as last_date
    from deliveries
),

final as (
    select
        calendar.feed,
        day.business_date,
        ops.due_at(day.business_date, calendar.due_time_local) as due_at
    from calendar
    cross join ledger
    cross join
        lateral (
            select
                generate_series(
                    greatest(calendar.first_due_date, ledger.first_date)::timestamp,
                    ledger.last_date::timestamp,
                    interval '1 day'
                )::date as business_date
            union
            select looked_for.business_date
            from looked_for
            where
                calendar.feed = looked_for.feed
                and looked_for.business_date > greatest(calendar.first_due_date, ledger.last_date)
        ) as day
    where ops.due_date(calendar.cadence, day.business_date) = day.business_date
)

select * from final
