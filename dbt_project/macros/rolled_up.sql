{#-
    Daily figures of a relation rolled up, as a query: one row per period (day; week from Monday; month; year;
    `trailing_12_months` ending with any month; `30_days` ending with any date, where asked), area (region, directorate,
    nation) and value of the column `by` - and 'all' of them. `sums` are added up; `day_count` counts the dates with any row. Period and area are constants of each branch: a query for one of them
    computes no other, if the relation is a table or a CTE that is not materialized.
-#}
{% macro rolled_up(
    relation, sums, by=none, areas=['region', 'directorate', 'nation'], thirty_days=false
) %}
    {%- set date, at = 'business_date', 'business_date::timestamp' -%}
    {%- set month = "date_trunc('month', " ~ at ~ ")::date" -%}
    {#- The first and the last date of the calendar's periods, of a business date. -#}
    {%- set calendar = {
        'day': (date, date),
        'week': ("date_trunc('week', " ~ at ~ ")::date", "date_trunc('week', " ~ at ~ ")::date + 6"),
        'month': (month, "(date_trunc('month', " ~ at ~ ") + interval '1 month')::date - 1"),
        'year': (
            "date_trunc('year', " ~ at ~ ")::date", "(date_trunc('year', " ~ at ~ ") + interval '1 year')::date - 1"
        ),
    } -%}
    {#- Of the others: what each of them ends with, how much before it they begin, their first and last date. -#}
    {%- set trailing = {} -%}
    {%- if thirty_days -%}
        {%- do trailing.update({'30_days': (date, '29 days', 'unit_date - 29', 'unit_date')}) -%}
    {%- endif -%}
    {%- do trailing.update({
        'trailing_12_months': (
            month, '11 months', "(unit_date - interval '11 months')::date", "(unit_date + interval '1 month')::date - 1"
        ),
    }) -%}
    {%- set codes = {'region': 'region_code', 'directorate': 'directorate_code'} -%}
    {%- set branches = [] -%}
    {%- for period in calendar.keys() | list + trailing.keys() | list -%}
        {%- for area in areas -%}
            {%- for is_apart in ([true, false] if by else [false]) -%}
                {%- do branches.append((period, area, is_apart)) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for period, area, is_apart in branches %}
        {%- set parts = ([codes[area]] if area in codes else []) + ([by] if is_apart else []) %}
        {%- set first, last = calendar.get(period) or trailing[period][2:] %}
        select
            '{{ period }}'::text as period,
            {{ first }} as period_start_date,
            {{ last }} as period_end_date,
            '{{ area }}'::text as area,
            {{ codes.get(area, "'nation'::text") }} as area_code,
            {{ (by if is_apart else "'all'::text as " ~ by) ~ ',' if by }}
            {%- for column in sums %}
            {{ 'sum(' ~ column ~ ') as ' ~ column if period in calendar else column }},
            {%- endfor %}
            {{ 'count(distinct business_date)' if period in calendar else 'day_count::bigint' }} as day_count
        {%- if period in calendar %}
        from {{ relation }}
        group by {{ ([first, last] + parts) | join(', ') }}
        {%- else %}
        from ({{ trailing_sums(relation, sums, parts, *trailing[period][:2]) }}) as of_units
        where day_count > 0
        {%- endif %}
        {%- if not loop.last %}
        union all
        {%- endif %}
    {%- endfor %}
{% endmacro %}


{#-
    The sums of each unit (date or month) of a relation and of those up to `reach` before it, as a query: one row per unit and
    values of `parts`, also where a unit has no row of these.
-#}
{% macro trailing_sums(relation, sums, parts, unit, reach) %}
            select
                units.unit_date,
                {%- for column in parts %}
                cells.{{ column }},
                {%- endfor %}
                {%- for column in sums %}
                sum(of_unit.{{ column }}) over up_to_it as {{ column }},
                {%- endfor %}
                coalesce(sum(of_unit.day_count) over up_to_it, 0) as day_count
            from (select distinct {{ unit }} as unit_date from {{ relation }}) as units
            cross join (select distinct {{ (parts or ["'nation'"]) | join(', ') }} from {{ relation }}) as cells
            left join (
                select
                    {{ unit }} as unit_date,
                    {%- for column in parts %}
                    {{ column }},
                    {%- endfor %}
                    {%- for column in sums %}
                    sum({{ column }}) as {{ column }},
                    {%- endfor %}
                    count(distinct business_date) as day_count
                from {{ relation }}
                group by {{ ([unit] + parts) | join(', ') }}
            ) as of_unit
                on units.unit_date = of_unit.unit_date
                {%- for column in parts %}
                and cells.{{ column }} = of_unit.{{ column }}
                {%- endfor %}
            window up_to_it as (
                {{ 'partition by cells.' ~ parts | join(', cells.') if parts }}
                order by units.unit_date range between interval '{{ reach }}' preceding and current row
            )
{% endmacro %}


{#-
    The rolled up figures with what is known of each period as a whole, as a query: `is_whole_period`, no date of it is
    missing in the mart, and `is_<window>_final`, figures of that window are final on each date. These are facts of
    dates: an area without a row on one of them is as final as the others. Of a mart with rows of dates that miss their own
    delivery, `complete` is the column that tells: those are left out, and their periods are not whole.
-#}
{% macro rolled_up_with_finality(
    mart, sums, windows, by=none, areas=['region', 'directorate', 'nation'], thirty_days=false, complete=none,
    whole=none
) %}
    {%- set counts = ['date_count'] -%}
    {%- for figure_window in windows -%}
        {%- do counts.append(figure_window ~ '_final_count') -%}
    {%- endfor -%}
with daily as not materialized (
    select * from {{ ref(mart) }}
    {%- if complete %}
    where {{ complete }}
    {%- endif %}
),

final_dates as (
    {{ final_dates(windows) }}
),

dates as materialized (
    select
        known.business_date,
        {{ 'known.is_whole::integer' if whole else '1' }} as date_count,
        {%- for figure_window in windows %}
        (final_dates.is_{{ figure_window }}_final is true)::integer as {{ figure_window }}_final_count
        {{- ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            business_date
            {{- ', bool_and(' ~ whole | join(' and ') ~ ') as is_whole' if whole }}
        from daily
        group by business_date
    ) as known
    left join final_dates on known.business_date = final_dates.business_date
),

sums as (
    {{ rolled_up('daily', sums, by=by, areas=areas, thirty_days=thirty_days) }}
),

periods as (
    {{ rolled_up('dates', counts, areas=['nation'], thirty_days=thirty_days) }}
),

rolled as (
    select
        sums.*,
        {%- for count in counts %}
        periods.{{ count }} = sums.period_end_date - sums.period_start_date + 1 as
        {{- ' is_whole_period' if count == 'date_count' else ' is_' ~ count | replace('_final_count', '_final') }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from sums
    inner join periods on sums.period = periods.period and sums.period_start_date = periods.period_start_date
)
{% endmacro %}


{#- Which dates have final figures, as a query: one row per business date, `is_<window>_final` of each window. -#}
{% macro final_dates(windows) %}
    select
        business_date,
        {%- for figure_window in windows %}
        bool_and(status = 'final') filter (where figure_window = '{{ figure_window }}') as is_{{ figure_window }}_final
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('mart_finality_daily') }}
    group by business_date
{% endmacro %}
