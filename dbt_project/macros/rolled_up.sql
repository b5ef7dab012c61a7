{#-
    Daily figures of a relation rolled up, as a query: one row per period (day; week from Monday; month; `thirty_days`
    ending on any date, where asked), area (region, directorate, nation), value of the column `by` - and 'all' of them -
    and values of the columns `kept`. `sums` are added up; `flags` say whether they are true on every date of the
    period, none of which is missing. Period and area are constants of each branch: a query for one of them computes
    no other, if the relation is a table or a CTE that is not materialized.
-#}
{% macro rolled_up(
    relation, sums, by=none, kept=[], flags=[], areas=['region', 'directorate', 'nation'], thirty_days=false
) %}
    {%- set date = relation ~ '.business_date' -%}
    {%- set periods = {
        'day': (date, date),
        'week': ("date_trunc('week', " ~ date ~ "::timestamp)::date", "date_trunc('week', " ~ date ~ "::timestamp)::date + 6"),
        'month': (
            "date_trunc('month', " ~ date ~ "::timestamp)::date",
            "(date_trunc('month', " ~ date ~ "::timestamp) + interval '1 month')::date - 1"
        ),
    } -%}
    {%- if thirty_days -%}
        {%- do periods.update({'30_days': ('last.business_date - 29', 'last.business_date')}) -%}
    {%- endif -%}
    {%- set codes = {'region': 'region_code', 'directorate': 'directorate_code'} -%}
    {%- set branches = [] -%}
    {%- for period in periods -%}
        {%- for area in areas -%}
            {%- for is_apart in ([true, false] if by else [false]) -%}
                {%- do branches.append((period, area, is_apart)) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for period, area, is_apart in branches %}
        {%- set first, last = periods[period] %}
        {%- set keys = [first, last] + ([codes[area]] if area in codes else []) + ([by] if is_apart else []) + kept %}
        select
            '{{ period }}'::text as period,
            {{ first }} as period_start_date,
            {{ last }} as period_end_date,
            '{{ area }}'::text as area,
            {{ codes.get(area, "'nation'::text") }} as area_code,
            {{ (by if is_apart else "'all'::text as " ~ by) ~ ',' if by }}
            {%- for column in kept %}
            {{ column }},
            {%- endfor %}
            {%- for column in sums %}
            sum({{ column }}) as {{ column }},
            {%- endfor %}
            {%- for column in flags %}
            bool_and({{ column }}) and count(distinct {{ date }}) = {{ last }} - ({{ first }}) + 1 as {{ column }},
            {%- endfor %}
            count(distinct {{ date }}) as day_count
        from {{ relation }}
        {%- if period == '30_days' %}
        inner join (select distinct business_date from {{ relation }}) as last
            on {{ date }} between last.business_date - 29 and last.business_date
        {%- endif %}
        group by {{ keys | join(', ') }}
        {%- if not loop.last %}
        union all
        {%- endif %}
    {%- endfor %}
{% endmacro %}


{#- Whether the figures of a date are final, by figure window (`is_<window>_final`): one row per business date. -#}
{% macro finality_by_date(windows) %}
    select
        business_date,
        {%- for figure_window in windows %}
        coalesce(bool_and(status = 'final') filter (where figure_window = '{{ figure_window }}'), false)
            as is_{{ figure_window }}_final{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('mart_finality_daily') }}
    group by business_date
{% endmacro %}
