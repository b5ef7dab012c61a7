{#- Fails for every value of the key (a list of columns) that more than one row has, or that is null in part. -#}
{% test unique_key(model, columns) %}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1 or not (({{ columns | join(', ') }}) is not null)
{% endtest %}
