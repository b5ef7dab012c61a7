{#-
    Fails for every value of the key (a list of columns) that more than one row has, or that is null in part. With
    `changed_by` (subjects as in a model's meta), only among the dates that the running build recomputes for them.
-#}
{% test unique_key(model, columns, changed_by=none) %}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from {{ model }}
    where {{ 'business_date in (' ~ (changed_dates(changed_by) | join(', ') or 'null') ~ ')' if changed_by else 'true' }}
    group by {{ columns | join(', ') }}
    having count(*) > 1 or not (({{ columns | join(', ') }}) is not null)
{% endtest %}
