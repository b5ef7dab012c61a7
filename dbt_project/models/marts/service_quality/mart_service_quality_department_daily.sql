{%- set figures = [
    'leg_count', 'offered_count', 'answered_count', 'abandoned_count', 'short_abandoned_count', 'overflowed_lost_count',
    'ivr_resolved_count', 'ivr_abandoned_count', 'blocked_count', 'answered_within_20s_count', 'wait_answered_seconds',
    'handle_seconds', 'transferred_count', 'identified_answered_count', 'withheld_answered_count', 'home_in_hours_count',
    'home_off_hours_count', 'other_directorate_count', 'offshore_in_hours_count', 'offshore_off_hours_count',
    'other_site_count', 'in_hours_known_answered_count', 'resolved_by_customer_file_count',
    'resolved_by_line_assignment_count', 'resolved_by_prefix_count', 'prefix_compared_count', 'prefix_disagreement_count',
    'survey_count', 'satisfied_count', 'recommend_count', 'promoter_count', 'detractor_count',
] -%}
{%- set cell = ['business_date', 'directorate_code', 'region_code', 'department_code', 'market'] -%}

with counted as (
    select
        business_date,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        coalesce(home_department_code, 'unknown') as department_code,
        market,
        {{- counted_calls(figures) }}
    from {{ all_dates('fct_calls') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
    group by 1, 2, 3, 4, 5
),

active_lines as (
    select * from {{ ref('int_active_lines_monthly') }}
),

homes as (
    select * from {{ ref('int_homes') }}
),

-- A department with lines and without calls has a row too, or the lines of all departments would not add up.
lines_daily as (
    select
        dates.business_date,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        coalesce(homes.department_code, 'unknown') as department_code,
        active_lines.market,
        sum(active_lines.line_count)::bigint as active_line_stock
    from (select distinct business_date from counted) as dates
    inner join active_lines
        on dates.business_date >= active_lines.month_date
        and dates.business_date < active_lines.next_month_date
    left join homes
        on active_lines.department_code = homes.home_key
        and dates.business_date >= homes.valid_from
        and dates.business_date < homes.valid_to
    group by 1, 2, 3, 4, 5
),

cells as (
    select
        {{ cell | join(', ') }},
        lines_daily.active_line_stock,
    {% for figure in figures -%}
        coalesce(counted.{{ figure }}, 0)
        {{- '::numeric(16, 6)' if figure == 'wait_answered_seconds' }} as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from counted
    full outer join lines_daily using ({{ cell | join(', ') }})
),

final as (
    {{ named('cells', of=['directorate', 'region', 'department'], windows=['call_rate']) }}
)

select * from final
