{#-
    Business dates that the running build recomputes, as SQL literals: those on which any of the feeds (subjects of
    ops.build_date) changed, and those up to `lookback_days` before them. Without a running build, or in a full refresh,
    all known dates.
-#}
{% macro changed_dates(feeds, lookback_days=0) %}
    {%- if not execute -%}{{ return([]) }}{%- endif -%}
    {%- set query -%}
        select business_date::text
        from ops.changed_dates(array['{{ feeds | join("', '") }}'], {{ lookback_days }}) as business_date
        order by business_date
    {%- endset -%}
    {%- set literals = [] -%}
    {%- for row in run_query(query) -%}
        {%- do literals.append("date '" ~ row[0] ~ "'") -%}
    {%- endfor -%}
    {{ return(literals) }}
{% endmacro %}


{#-
    The dates that this model recomputes, by the `feeds` and `lookback_days` of its meta - the same that its publication
    goes by - as an SQL condition on literals, so that partitions are pruned when the query is planned. With
    `days_after`, also that many dates after each.
-#}
{% macro is_changed(column='business_date', days_after=0) %}
    {%- set meta = model.config.meta -%}
    {%- set dates = changed_dates(meta.feeds, meta.get('lookback_days', 0)) | join(', ') -%}
    {%- if not dates -%}
        false
    {%- elif days_after -%}
        {{ column }} in (
            select changed_date + day
            from unnest(array[{{ dates }}]) as changed_date, generate_series(0, {{ days_after }}) as day
        )
    {%- else -%}
        {{ column }} in ({{ dates }})
    {%- endif -%}
{% endmacro %}


{#- Incremental strategy `changed_dates`: the changed dates are replaced as a whole, also where nothing is left. -#}
{% macro get_incremental_changed_dates_sql(arg_dict) %}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) %}
    delete from {{ arg_dict['target_relation'] }} where {{ is_changed() }};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}
