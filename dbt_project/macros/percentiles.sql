{#-
    Percentiles of a histogram, as the query of an incremental model: one row per period (day, week from Monday, month), area
    (region, directorate, nation), value of the column `by` - and 'all' of them - and values of the columns `kept`. Percentile
    p is the smallest `value` at which the cumulative share of `count` reaches p. `columns` names the column of each p. A
    changed date makes anew the three periods that it is in, and no other. A period is whole if each of its dates has a
    delivery of `feed`.
-#}
{% macro percentiles(histogram, feed, count, value, columns, by=none, kept=[]) %}
    {%- set date, at = 'dates.business_date', 'dates.business_date::timestamp' -%}
    {%- set cell = ([by] if by else []) + kept -%}
    {%- set place = "concat_ws(' ', " ~ (['directorate_code', 'region_code'] + cell) | join(', ') ~ ")" -%}
    {%- set is_in_range -%}
        business_date between (select min(period_start_date) from periods) and (select max(period_end_date) from periods)
    {%- endset -%}
    {%- set target = ['area', 'area_code'] + cell -%}
with dates as (
    {%- if is_incremental() %}
    select unnest({{ dates_as_array() }}) as business_date
    {%- else %}
    select distinct business_date from {{ ref(histogram) }}
    {%- endif %}
),

periods as materialized (
    select
        row_number() over () as period_no,
        *
    from (
        select distinct periods.*
        from dates
        cross join lateral (
            values
            ('day'::text, {{ date }}, {{ date }}),
            ('week', date_trunc('week', {{ at }})::date, date_trunc('week', {{ at }})::date + 6),
            (
                'month',
                date_trunc('month', {{ at }})::date,
                (date_trunc('month', {{ at }}) + interval '1 month')::date - 1
            )
        ) as periods (period, period_start_date, period_end_date)
    ) as periods
),

whole_periods as (
    select
        periods.period_no,
        count(delivered.business_date) = periods.period_end_date - periods.period_start_date + 1 as is_whole_period
    from periods
    left join {{ ref('int_built_deliveries') }} as delivered
        on delivered.feed = '{{ feed }}'
        and delivered.business_date between periods.period_start_date and periods.period_end_date
    group by periods.period_no, periods.period_start_date, periods.period_end_date
),

dates_of_periods as (
    select
        period_no,
        period_start_date + generate_series(0, period_end_date - period_start_date) as business_date
    from periods
),

-- Numbered, as are the periods: millions of numbers are sorted in a fraction of the time that their names take.
targets as materialized (
    select
        cells.place,
        areas.area,
        areas.area_code,
        {%- if by %}
        values_of_by.{{ by }},
        {%- endif %}
        {%- for column in kept %}
        cells.{{ column }},
        {%- endfor %}
        dense_rank() over (
            order by areas.area, areas.area_code
            {%- for column in (['values_of_by.' ~ by] if by else []) + kept %}, {{ column }}{% endfor %}
        ) as target_no
    from (
        select distinct {{ ([place ~ ' as place', 'directorate_code', 'region_code'] + cell) | join(', ') }}
        from {{ ref(histogram) }}
        where {{ is_in_range }}
    ) as cells
    cross join lateral (
        values ('region'::text, cells.region_code), ('directorate', cells.directorate_code), ('nation', 'nation')
    ) as areas (area, area_code)
    {%- if by %}
    cross join lateral (values (cells.{{ by }}), ('all')) as values_of_by ({{ by }})
    {%- endif %}
),

histogram as (
    select
        business_date,
        {{ place }} as place,
        {{ value }},
        {{ count }}
    from {{ ref(histogram) }}
    where {{ is_in_range }}
),

summed as (
    select
        dates_of_periods.period_no,
        targets.target_no,
        histogram.{{ value }},
        sum(histogram.{{ count }}::integer)::integer as value_count
    from dates_of_periods
    inner join histogram on dates_of_periods.business_date = histogram.business_date
    -- By one text: the planner takes several columns to leave next to nothing, and would compare each row with each.
    inner join targets on histogram.place = targets.place
    group by 1, 2, 3
),

cumulative as (
    select
        *,
        sum(value_count) over (partition by period_no, target_no order by {{ value }}) as up_to_count,
        sum(value_count) over (partition by period_no, target_no) as all_count
    from summed
),

percentiles as (
    select
        period_no,
        target_no,
        max(all_count) as {{ count }},
        {%- for column, share in columns.items() %}
        min({{ value }}) filter (where up_to_count >= {{ share }} * all_count) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from cumulative
    group by period_no, target_no
),

merged as (
    select
        periods.period,
        periods.period_start_date,
        periods.period_end_date,
        targets.*,
        percentiles.{{ count }},
        {%- for column in columns %}
        percentiles.{{ column }},
        {%- endfor %}
        whole_periods.is_whole_period
    from percentiles
    inner join periods using (period_no)
    inner join whole_periods using (period_no)
    inner join (
        select distinct {{ (['target_no'] + target) | join(', ') }}
        from targets
    ) as targets using (target_no)
),

final as (
    {{ named('merged', of=['area']) }}
)

select
    period,
    period_start_date,
    period_end_date,
    {%- for column in target %}
    {{ column }},
    {%- endfor %}
    area_name,
    {{ count }},
    {%- for column in columns %}
    {{ column }},
    {%- endfor %}
    is_whole_period
from final
{% endmacro %}


{#- The dates that the model recomputes, as an SQL array. -#}
{% macro dates_as_array() -%}
    array[{{ dates_of(model) | join(', ') }}]::date[]
{%- endmacro %}


{#- Incremental strategy `changed_periods`: the periods that a changed date is in are replaced as a whole. -#}
{% macro get_incremental_changed_periods_sql(arg_dict) %}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) %}
    delete from {{ arg_dict['target_relation'] }}
    where exists (
        select from unnest({{ dates_as_array() }}) as changed (changed_date)
        where changed.changed_date between period_start_date and period_end_date
    );
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}
