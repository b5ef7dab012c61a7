{#-
    How hard each site worked, as the query of an incremental model: one row per site and `period` (day, or week from
    Monday). A changed date makes anew the periods that it is in. A run is a series of busy half-hours without a gap in
    time, so that at a site that never closes a week's longest run may go on past midnight.
-#}
{% macro site_work(period) %}
{%- set first = {'day': 'business_date', 'week': "date_trunc('week', business_date::timestamp)::date"}[period] -%}
{%- set is_of_these = 'true' -%}
{%- if is_incremental() and period == 'day' -%}
    {%- set is_of_these = is_changed() -%}
{%- elif is_incremental() -%}
    {%- set is_of_these -%}
        {{ is_changed(days_before=6, days_after=6) }}
        and {{ first }} in (
            select {{ first }}
            from unnest({{ dates_as_array() }}) as changed (business_date)
        )
    {%- endset -%}
{%- endif -%}
with dates as (
    select
        business_date,
        -- Work begun on the evening before may go on past midnight.
        coalesce(business_date - lag(business_date) over (order by business_date) = 1, false) as is_final
    from {{ ref('int_built_deliveries') }}
    where feed = 'calls'
),

periods as (
    select
        {{ first }} as first_date,
        count(*) as date_count,
        bool_and(is_final) as is_final
    from dates
    group by 1
),

half_hours as (
    select
        *,
        {{ first }} as first_date,
        is_open and handle_seconds > {{ var('busy_occupancy') }} * position_seconds as is_busy
    from {{ ref('mart_site_load_half_hourly') }}
    where {{ is_of_these }} and business_date in (select dates.business_date from dates)
),

worked as (
    select
        first_date,
        site_code,
        count(*) filter (where is_open) as open_half_hour_count,
        count(*) filter (where is_busy) as busy_half_hour_count,
        sum(handle_seconds) as handle_seconds,
        sum(handle_seconds) filter (where is_open) as open_handle_seconds,
        sum(position_seconds) filter (where is_open) as open_position_seconds,
        sum(agent_count * 1800) filter (where is_open) as open_agent_seconds,
        bool_or(is_open and agent_count is null) is true as has_unknown_agents,
        sum(finished_leg_count) filter (where not is_open) as after_closing_handled_count,
        sum(handle_seconds) filter (where not is_open) as after_closing_handle_seconds
    from half_hours
    group by 1, 2
),

busy as (
    select
        first_date,
        site_code,
        half_hour_at - row_number() over (partition by first_date, site_code order by half_hour_at)
        * interval '30 minutes' as run_key
    from half_hours
    where is_busy
),

runs as (
    select
        first_date,
        site_code,
        max(half_hour_count) as longest_busy_run_half_hours
    from (
        select
            first_date,
            site_code,
            count(*) as half_hour_count
        from busy
        group by first_date, site_code, run_key
    ) as each_run
    group by 1, 2
),

contacts as (
    select
        {{ first }} as first_date,
        site_code,
        sum(answered_count) as answered_count,
        sum(survey_count) as survey_count,
        sum(satisfied_count) as satisfied_count
    from {{ ref('agg_site_calls_daily') }}
    where {{ is_of_these }}
    group by 1, 2
),

sites as (
    select * from {{ ref('dim_site') }}
)

select
    first_date as {{ 'business_date' if period == 'day' else 'period_start_date' }},
    {{ 'first_date + 6 as period_end_date,' if period == 'week' }}
    site_code,
    sites.site_name,
    sites.directorate_code,
    sites.directorate_name,
    coalesce(worked.open_half_hour_count, 0) as open_half_hour_count,
    coalesce(worked.busy_half_hour_count, 0) as busy_half_hour_count,
    coalesce(runs.longest_busy_run_half_hours, 0) as longest_busy_run_half_hours,
    coalesce(worked.handle_seconds, 0)::numeric(20, 6) as handle_seconds,
    coalesce(worked.open_handle_seconds, 0)::numeric(20, 6) as open_handle_seconds,
    coalesce(worked.open_position_seconds, 0)::bigint as open_position_seconds,
    case
        when not coalesce(worked.has_unknown_agents, false) then coalesce(worked.open_agent_seconds, 0)
    end::bigint as open_agent_seconds,
    coalesce(worked.after_closing_handled_count, 0)::bigint as after_closing_handled_count,
    coalesce(worked.after_closing_handle_seconds, 0)::numeric(20, 6) as after_closing_handle_seconds,
    coalesce(contacts.answered_count, 0)::bigint as answered_count,
    coalesce(contacts.survey_count, 0)::bigint as survey_count,
    coalesce(contacts.satisfied_count, 0)::bigint as satisfied_count,
    {{ 'periods.date_count = 7 as is_whole_period,' if period == 'week' }}
    periods.is_final {{ 'and periods.date_count = 7 as is_final' if period == 'week' }}
from worked
full join contacts using (first_date, site_code)
inner join periods using (first_date)
left join runs using (first_date, site_code)
left join sites using (site_code)
{% endmacro %}


{#- The same by directorate of the sites, as a query: the sums of its sites, and the longest run of any one of them. -#}
{% macro directorate_work(mart, period_columns) %}
with site_work as (
    select * from {{ ref(mart) }}
),

final as (
    select
        {%- for column in period_columns %}
        {{ column }},
        {%- endfor %}
        coalesce(directorate_code, 'unknown') as directorate_code,
        coalesce(directorate_name, 'Unknown') as directorate_name,
        count(*) as site_stock,
        sum(open_half_hour_count)::bigint as open_half_hour_count,
        sum(busy_half_hour_count)::bigint as busy_half_hour_count,
        max(longest_busy_run_half_hours) as longest_busy_run_half_hours,
        sum(handle_seconds)::numeric(20, 6) as handle_seconds,
        sum(open_handle_seconds)::numeric(20, 6) as open_handle_seconds,
        sum(open_position_seconds)::bigint as open_position_seconds,
        case
            when bool_and(open_agent_seconds is not null) then sum(open_agent_seconds)
        end::bigint as open_agent_seconds,
        sum(after_closing_handled_count)::bigint as after_closing_handled_count,
        sum(after_closing_handle_seconds)::numeric(20, 6) as after_closing_handle_seconds,
        sum(answered_count)::bigint as answered_count,
        sum(survey_count)::bigint as survey_count,
        sum(satisfied_count)::bigint as satisfied_count,
        {{ 'bool_and(is_whole_period) as is_whole_period,' if 'period_end_date' in period_columns }}
        bool_and(is_final) as is_final
    from site_work
    group by {{ range(1, 3 + period_columns | length) | join(', ') }}
)

select * from final
{% endmacro %}
