{#-
    One row per feed and business date on which the calendar expects a delivery, up to the newest date that any feed has
    in the ledger, and of later dates those that were looked for in vain. The two views that the command line reads are both written with it, and with nothing between them and
    the tables: a view on a view is gone while dbt replaces the one below.
-#}
{% macro due_deliveries() %}
    select
        calendar.feed,
        day.business_date,
        ops.due_at(day.business_date, calendar.due_time_local) as due_at
    from {{ ref('feed_calendar') }} as calendar
    cross join (
        select
            min(business_date) as first_date,
            max(business_date) as last_date
        from {{ source('ops', 'delivery') }}
        where status <> 'withdrawn' and is_misdated is not true
    ) as ledger
    cross join lateral (
        select generate_series(
            greatest(calendar.first_due_date, ledger.first_date)::timestamp, ledger.last_date::timestamp, interval '1 day'
        )::date as business_date
        union
        select looked_for.business_date
        from {{ source('ops', 'looked_for') }} as looked_for
        where looked_for.feed = calendar.feed and looked_for.business_date > greatest(calendar.first_due_date, ledger.last_date)
    ) as day
    where ops.due_date(calendar.cadence, day.business_date) = day.business_date
{% endmacro %}
