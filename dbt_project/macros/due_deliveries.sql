{#-
    One row per feed and business date on which the calendar expects a delivery, up to the newest date that any feed has
    in the ledger. The two views that the command line reads are both written with it, and with nothing between them and
    the tables: a view on a view is gone while dbt replaces the one below.
-#}
{% macro due_deliveries() %}
    select
        calendar.feed,
        day::date as business_date,
        (day::date + 1 + calendar.due_time_local) at time zone 'Europe/Paris' as due_at
    from {{ ref('feed_calendar') }} as calendar
    cross join (
        select
            min(business_date) as first_date,
            max(business_date) as last_date
        from {{ source('ops', 'delivery') }}
    ) as ledger
    cross join generate_series(
        greatest(calendar.first_due_date, ledger.first_date)::timestamp, ledger.last_date::timestamp, interval '1 day'
    ) as day
    where
        case calendar.cadence
            when 'daily' then true
            when 'weekly' then extract(isodow from day) = 1
            when 'monthly' then extract(day from day) = 1
        end
{% endmacro %}
