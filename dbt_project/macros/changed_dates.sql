{#-
    Business dates that the running build recomputes, as SQL literals: those on which any of the feeds (subjects of
    ops.build_date) changed, those up to `lookback_days` before them and up to `lookahead_days` after them, and those on
    which any of `own_date_feeds` changed. Without a running build, or in a full refresh, all known dates and those
    around them. With `days_before` or `days_after`, also that many dates around each: those are only read, so they
    may be past retention.
-#}
{% macro changed_dates(feeds, lookback_days=0, lookahead_days=0, own_date_feeds=[], days_before=0, days_after=0) %}
    {%- if not execute -%}{{ return([]) }}{%- endif -%}
    {%- set query -%}
        select distinct (changed_date + day)::date::text as business_date
        from ops.changed_dates(
            array['{{ feeds | join("', '") }}'], {{ lookback_days }}, {{ lookahead_days }},
            '{ {{- own_date_feeds | join(",") -}} }'
        ) as changed_date
        cross join generate_series(-{{ days_before }}, {{ days_after }}) as day
        order by business_date
    {%- endset -%}
    {%- set literals = [] -%}
    {%- for row in rows_once(query) -%}
        {%- do literals.append("date '" ~ row[0] ~ "'") -%}
    {%- endfor -%}
    {{ return(literals) }}
{% endmacro %}


{#- The rows of a query, which a node asks once, however often its SQL needs them. -#}
{% macro rows_once(query) %}
    {%- set known = load_result(query) -%}
    {%- if known is none -%}
        {%- call statement(query, fetch_result=true, auto_begin=false) -%}
            {{ query }}
        {%- endcall -%}
        {%- set known = load_result(query) -%}
    {%- endif -%}
    {#- dbt forgets a result that was loaded. -#}
    {%- do store_result(query, response=known.response, agate_table=known.table) -%}
    {{ return(known.table.rows) }}
{% endmacro %}


{#-
    The dates that a model recomputes, by the `feeds`, `lookback_days`, `lookahead_days` and `own_date_feeds` of its
    meta - the same that its publication goes by - and up to `days_before` and `days_after` around them, as SQL literals
    in order.
-#}
{% macro dates_of(node, days_before=0, days_after=0) %}
    {%- set meta = node.config.meta -%}
    {{ return(changed_dates(
        meta.feeds, meta.get('lookback_days', 0), meta.get('lookahead_days', 0), meta.get('own_date_feeds', []),
        days_before, days_after
    )) }}
{% endmacro %}


{#-
    Those dates of this model, or of the one whose node is `of`, as an SQL condition on literals: the query is then
    planned for these dates.
-#}
{% macro is_changed(column='business_date', days_before=0, days_after=0, of=none) %}
    {%- set dates = dates_of(of or model, days_before, days_after) -%}
    {{- column ~ ' in (' ~ dates | join(', ') ~ ')' if dates else 'false' -}}
{% endmacro %}


{#-
    Incremental strategy `changed_dates`: the changed dates are replaced as a whole, also where nothing is left. If the
    model's meta names a subject in `marks`, only those on which a row comes to differ are, and they join the running
    build under that subject.
-#}
{% macro get_incremental_changed_dates_sql(arg_dict) %}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) %}
    {%- set target, fresh, marks = arg_dict['target_relation'], arg_dict['temp_relation'], model.config.meta.marks %}
    {%- set is_replaced = is_changed() %}
    {%- if marks %}
        {%- set differing = differing_rows(target, fresh, columns, is_replaced) %}
        create temporary table differing_dates on commit drop as
        select distinct business_date from ({{ differing }}) as differing;
        {{ mark_dates(marks, 'table differing_dates') }};
        {%- set is_replaced = 'business_date in (table differing_dates)' %}
    {%- endif %}
    delete from {{ target }} where {{ is_replaced }};
    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ fresh }}
    {%- if marks %} where {{ is_replaced }}{% endif %}
{% endmacro %}


{#- Of the rows that are about to be replaced, and of those that replace them, the ones that differ, as a query. -#}
{% macro differing_rows(target, fresh, columns, is_replaced) %}
    (
        select {{ columns }} from {{ target }} where {{ is_replaced }}
        except
        select {{ columns }} from {{ fresh }}
    )
    union all
    (
        select {{ columns }} from {{ fresh }}
        except
        select {{ columns }} from {{ target }} where {{ is_replaced }}
    )
{% endmacro %}
