{#-
    Percentiles of a histogram, as the query of an incremental model: one row per period (day, week from Monday, month), area
    (region, directorate, nation), value of the column `by` - and 'all' of them - and values of the columns `kept`. Percentile
    p is the smallest `value` at which the cumulative share of `count` reaches p. `columns` names the column of each p. A
    changed date makes anew the three periods that it is in, and no other. A period is whole if each of its dates has a
    delivery of `feed`.
-#}
{% macro percentiles(histogram, feed, count, value, columns, by=none, kept=[]) %}
    {%- set date, at = 'dates.business_date', 'dates.business_date::timestamp' -%}
    {%- set period = ['period', 'period_start_date', 'period_end_date'] -%}
    {%- set key = period + ['area', 'area_code'] + ([by] if by else []) + kept -%}
with dates as (
    {%- if is_incremental() %}
    select unnest({{ dates_as_array() }}) as business_date
    {%- else %}
    select distinct business_date from {{ ref(histogram) }}
    {%- endif %}
),

periods as materialized (
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
),

whole_periods as (
    select
        periods.period,
        periods.period_start_date,
        count(delivered.business_date) = periods.period_end_date - periods.period_start_date + 1 as is_whole_period
    from periods
    left join {{ ref('int_built_deliveries') }} as delivered
        on delivered.feed = '{{ feed }}'
        and delivered.business_date between periods.period_start_date and periods.period_end_date
    group by periods.period, periods.period_start_date, periods.period_end_date
),

dates_of_periods as (
    select
        *,
        period_start_date + generate_series(0, period_end_date - period_start_date) as business_date
    from periods
),

cells as (
    select
        periods.period,
        periods.period_start_date,
        periods.period_end_date,
        histogram.directorate_code,
        histogram.region_code,
        {%- for column in ([by] if by else []) + kept + [value] %}
        histogram.{{ column }},
        {%- endfor %}
        sum(histogram.{{ count }}) as cell_count
    from dates_of_periods as periods
    inner join {{ ref(histogram) }} as histogram on periods.business_date = histogram.business_date
    group by {{ range(1, 7 + kept | length + (1 if by else 0)) | join(', ') }}
),

rolled as (
    select
        cells.period,
        cells.period_start_date,
        cells.period_end_date,
        areas.area,
        areas.area_code,
        {%- for column in (['values_of_by.' ~ by] if by else []) + kept %}
        {{ column }},
        {%- endfor %}
        cells.{{ value }},
        sum(cells.cell_count) as value_count
    from cells
    cross join lateral (
        values ('region'::text, cells.region_code), ('directorate', cells.directorate_code), ('nation', 'nation')
    ) as areas (area, area_code)
    {%- if by %}
    cross join lateral (values (cells.{{ by }}), ('all')) as values_of_by ({{ by }})
    {%- endif %}
    group by {{ range(1, 7 + kept | length + (1 if by else 0)) | join(', ') }}
),

cumulative as (
    select
        *,
        sum(value_count) over (partition by {{ key | join(', ') }} order by {{ value }}) as up_to_count,
        sum(value_count) over (partition by {{ key | join(', ') }}) as all_count
    from rolled
),

percentiles as (
    select
        {%- for column in key %}
        {{ column }},
        {%- endfor %}
        max(all_count)::bigint as {{ count }},
        {%- for column, share in columns.items() %}
        min({{ value }}) filter (where up_to_count >= {{ share }} * all_count) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from cumulative
    group by {{ key | join(', ') }}
),

merged as (
    select
        percentiles.*,
        whole_periods.is_whole_period
    from percentiles
    inner join whole_periods
        on percentiles.period = whole_periods.period
        and percentiles.period_start_date = whole_periods.period_start_date
)

{{ named('merged', of=['area']) }}
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
