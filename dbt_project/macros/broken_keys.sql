{#-
    As a query: the values of each one's key (`meta.key`, a list of columns) that more than one row has, or that are null in part.
    One query for all models and seeds: a test for each took a third of dbt's time. Of a model that replaces whole dates and whose key
    has the date, the dates that this build recomputes suffice: no row of another date shares a key with theirs.
-#}
{% macro broken_keys(names) %}
    {%- for name in names %}
        {%- set relation = ref(name) %}
        {%- if execute %}
            {%- set id = project_name ~ '.' ~ name %}
            {%- set node = graph.nodes['model.' ~ id] if 'model.' ~ id in graph.nodes else graph.nodes['seed.' ~ id] %}
            {%- set key = node.config.meta.key %}
            {%- set columns = key | join(', ') %}
            {%- set replaces_dates = node.config.get('incremental_strategy') == 'changed_dates' %}
    select
        '{{ name }}' as asserted_of,
        to_json(failing) as failing_row
    from (
        select
            {{ columns }},
            count(*) as row_count
        from {{ relation }}
        where {{ is_changed(of=node) if replaces_dates and 'business_date' in key else 'true' }}
        group by {{ columns }}
        having count(*) > 1 or not (({{ columns }}) is not null)
    ) as failing
            {{- ' union all' if not loop.last }}
        {%- endif %}
    {%- endfor %}
{% endmacro %}
