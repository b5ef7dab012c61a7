{#-
    As a query: the values of each one's key (`meta.key`, a list of columns) that more than one row has, or that are null in
    part. One query for all models and seeds: a test for each took a third of dbt's time.
-#}
{% macro broken_keys(names) %}
    {%- for name in names %}
        {%- set relation = ref(name) %}
        {%- if execute %}
            {%- set id = project_name ~ '.' ~ name %}
            {%- set node = graph.nodes['model.' ~ id] if 'model.' ~ id in graph.nodes else graph.nodes['seed.' ~ id] %}
            {%- set columns = node.config.meta.key | join(', ') %}
    select
        '{{ name }}' as asserted_of,
        to_json(failing) as failing_row
    from (
        select
            {{ columns }},
            count(*) as row_count
        from {{ relation }}
        where {{ may_be_broken(node) }}
        group by {{ columns }}
        having count(*) > 1 or not (({{ columns }}) is not null)
    ) as failing
            {{- ' union all' if not loop.last }}
        {%- endif %}
    {%- endfor %}
{% endmacro %}


{#-
    The rows of a model that can share a key with rows that this build has written, as a condition. Of a model that replaces
    whole dates and whose key has the date: those dates. Of a view that rolls such dates up, all periods in the same way:
    the days of those dates, and all periods in a full refresh.
-#}
{% macro may_be_broken(node) %}
    {%- set is_rolled_up = 'period' in node.config.meta.key -%}
    {%- set dated = [node] if 'business_date' in node.config.meta.key else [] -%}
    {%- if is_rolled_up and not flags.FULL_REFRESH -%}
        {%- for read in node.depends_on.nodes -%}
            {%- do dated.append(graph.nodes[read]) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for each in dated if each.config.get('incremental_strategy') == 'changed_dates' -%}
        {{ return(
            "period = 'day' and " ~ is_changed('period_start_date', of=each) if is_rolled_up else is_changed(of=each)
        ) }}
    {%- endfor -%}
    {{ return("period = 'day'" if is_rolled_up and not flags.FULL_REFRESH else 'true') }}
{% endmacro %}
