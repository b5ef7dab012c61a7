with dates as (
    {% if is_incremental() -%}
        select unnest({{ dates_as_array() }}) as business_date
    {%- else -%}
        select distinct business_date from {{ ref('mart_boutique_visits_daily') }}
    {%- endif %}
),

months as (
    select distinct
        date_trunc('month', business_date::timestamp)::date as period_start_date,
        (date_trunc('month', business_date::timestamp) + interval '1 month')::date - 1 as period_end_date
    from dates
),

waits as (
    select
        months.period_start_date,
        waits.boutique_code,
        waits.wait_minutes,
        sum(waits.wait_served_count) as wait_count
    from months
    inner join {{ ref('agg_boutique_waits_daily') }} as waits
        on waits.business_date between months.period_start_date and months.period_end_date
    where waits.wait_minutes is not null
    group by months.period_start_date, waits.boutique_code, waits.wait_minutes
),

cumulative as (
    select
        *,
        sum(wait_count) over (partition by period_start_date, boutique_code order by wait_minutes) as up_to_count,
        sum(wait_count) over (partition by period_start_date, boutique_code) as all_count
    from waits
),

percentiles as (
    select
        period_start_date,
        boutique_code,
        min(wait_minutes) filter (where up_to_count >= 0.5 * all_count) as p50_wait_minutes,
        min(wait_minutes) filter (where up_to_count >= 0.95 * all_count) as p95_wait_minutes
    from cumulative
    group by period_start_date, boutique_code
),

-- A boutique that moves within a month is where it was last.
summed as (
    select
        months.period_start_date,
        months.period_end_date,
        daily.boutique_code,
        (array_agg(daily.directorate_code order by daily.business_date desc))[1] as directorate_code,
        (array_agg(daily.region_code order by daily.business_date desc))[1] as region_code,
        count(distinct daily.business_date) as day_count,
        sum(daily.visit_count)::bigint as visit_count,
        sum(daily.served_count)::bigint as served_count,
        sum(daily.sale_count)::bigint as sale_count,
        sum(daily.left_unserved_count)::bigint as left_unserved_count,
        sum(daily.wait_served_count)::bigint as wait_served_count,
        sum(daily.wait_served_seconds)::numeric(16, 6) as wait_served_seconds,
        sum(daily.survey_count)::bigint as survey_count,
        sum(daily.satisfied_count)::bigint as satisfied_count,
        sum(daily.customer_visit_count)::bigint as customer_visit_count,
        sum(daily.repeat_visit_7d_count)::bigint as repeat_visit_7d_count,
        sum(daily.call_after_visit_7d_count)::bigint as call_after_visit_7d_count
    from months
    inner join {{ ref('mart_boutique_visits_daily') }} as daily
        on daily.business_date between months.period_start_date and months.period_end_date
    group by months.period_start_date, months.period_end_date, daily.boutique_code
),

callers as (
    select
        months.period_start_date,
        contacts.boutique_code,
        sum(contacts.visit_after_call_7d_count)::bigint as visit_after_call_7d_count
    from months
    inner join {{ ref('agg_calls_and_visits_daily') }} as contacts
        on contacts.business_date between months.period_start_date and months.period_end_date
    where contacts.visit_after_call_7d_count > 0
    group by months.period_start_date, contacts.boutique_code
),

final as (
    select
        summed.*,
        coalesce(callers.visit_after_call_7d_count, 0) as visit_after_call_7d_count,
        percentiles.p50_wait_minutes,
        percentiles.p95_wait_minutes
    from summed
    left join percentiles
        on summed.period_start_date = percentiles.period_start_date
        and summed.boutique_code = percentiles.boutique_code
    left join callers
        on summed.period_start_date = callers.period_start_date
        and summed.boutique_code = callers.boutique_code
)

select * from final
