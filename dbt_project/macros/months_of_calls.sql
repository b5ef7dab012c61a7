{#- By month and figure window: whether the window is final on all dates, and whether all dates have calls. -#}
{% macro months_of_calls() %}
    {%- set month = "date_trunc('month', finality.business_date::timestamp)" -%}
    {%- set day_count = 'extract(day from ' ~ month ~ " + interval '1 month - 1 day')" -%}
    select
        {{ month }}::date as month_start_date,
        finality.figure_window,
        count(*) filter (where finality.status = 'final') = min({{ day_count }}) as is_final,
        count(calls.business_date) = min({{ day_count }}) as is_whole_period
    from {{ ref('mart_finality_daily') }} as finality
    left join {{ ref('mart_finality_daily') }} as calls
        on finality.business_date = calls.business_date
        and calls.figure_window = 'calls'
        and calls.status = 'final'
    group by 1, 2
{% endmacro %}


{#-
    By month, a digest of which regions were live when, as a query. A go-live is seen in hindsight, so it may change months
    of which no date did.
-#}
{% macro rollout_digests(months, cohorts) %}
    {%- set first = 'greatest(cohorts.go_live_date, months.month_start_date)' -%}
    {%- set next_month = "(months.month_start_date::timestamp + interval '1 month')::date" -%}
    {%- set last = 'least(cohorts.withdrawn_on, ' ~ next_month ~ ')' -%}
    select
        months.month_start_date,
        md5(string_agg(
            concat_ws(' ', cohorts.region_code, cohorts.market, {{ first }}, {{ last }}), ','
            order by cohorts.region_code, cohorts.market
        )) as rollout_digest
    from (select distinct month_start_date from {{ months }}) as months
    inner join {{ cohorts }} as cohorts on cohorts.go_live_date is not null and {{ first }} < {{ last }}
    group by 1
{% endmacro %}


{#-
    Whether a row's month is computed anew, as a condition: one with a changed date, or whose digest is no longer the one
    stored. All are where the table is rebuilt.
-#}
{% macro is_in_stale_month(digests) -%}
    {%- if not is_incremental() -%}true{%- else -%}
    date_trunc('month', business_date::timestamp)::date in (
        select date_trunc('month', changed_date::timestamp)::date
        from unnest({{ dates_as_array() }}) as changed_date
        union
        select stored.month_start_date
        from {{ this }} as stored
        left join {{ digests }} as digests on stored.month_start_date = digests.month_start_date
        where stored.rollout_digest <> coalesce(digests.rollout_digest, 'none')
    )
    {%- endif %}
{%- endmacro %}


{#- Incremental strategy `stale_months`: the months computed anew are replaced, also where nothing is left. -#}
{% macro get_incremental_stale_months_sql(arg_dict) %}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) %}
    delete from {{ arg_dict['target_relation'] }}
    where month_start_date in (
        select date_trunc('month', changed_date::timestamp)::date
        from unnest({{ dates_as_array() }}) as changed_date
        union all
        select month_start_date from {{ arg_dict['temp_relation'] }}
    );
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}
