{#-
    The table of a mart as BI reads it, where this build leaves some of it as it is: none in a full refresh, which
    replaces all of it (unless dates are past retention), and none before the first publication.
-#}
{% macro published(mart) %}
    {%- if not execute or (flags.FULL_REFRESH and not var('keeps_expired_dates', false)) -%}
        {{ return(none) }}
    {%- endif -%}
    {{ return(adapter.get_relation(target.database, 'marts', mart)) }}
{% endmacro %}


{#-
    All dates of a fact of which `build` holds the changed ones alone, as a subquery for FROM: those as they are
    built, all others as they are published.
-#}
{% macro all_dates(fact) %}
    {%- set built, mart = ref(fact), published(fact) -%}
    {%- if not mart -%}
        {{ return(built) }}
    {%- endif -%}
    {%- set node = node_of(fact) -%}
    {%- set known = rows_once(columns_in_catalogue(mart)) | map(attribute='name') | list -%}
    {%- set columns = [] -%}
    {%- set columns_of_mart = [] -%}
    {%- for column in node.columns.values() -%}
        {%- do columns.append(column.name) -%}
        {#- A column that is new to the model joins the mart when it is published. -#}
        {%- do columns_of_mart.append(column.name if column.name in known else 'null::' ~ column.data_type) -%}
    {%- endfor -%}
    (
        select {{ columns | join(', ') }} from {{ built }}
        union all
        select {{ columns_of_mart | join(', ') }} from {{ mart }} where not ({{ is_changed(of=node) }})
    ) as {{ fact }}
{% endmacro %}


{% macro node_of(model_name) %}
    {{ return(graph.nodes['model.' ~ project_name ~ '.' ~ model_name]) }}
{% endmacro %}
