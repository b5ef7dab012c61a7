{#-
    The rows of a CTE whose key (a call_id, a visit_id) the published fact has on a date that this build leaves as it is,
    with that `published_date`, as a subquery for FROM. Key by key, so that a night never reads all history.
-#}
{% macro published_elsewhere(fact, key, of_rows) %}
    {%- set mart = published(fact) -%}
    {%- if not mart -%}
        {{ return('(select *, null::date as published_date from ' ~ of_rows ~ ' where false) as ' ~ of_rows) }}
    {%- endif -%}
    (
        select
            {{ of_rows }}.*,
            elsewhere.business_date as published_date
        from {{ of_rows }}
        cross join lateral (
            select fact.business_date
            from {{ mart }} as fact
            where fact.{{ key }} = {{ of_rows }}.{{ key }}
            offset 0
        ) as elsewhere
        where not ({{ is_changed('elsewhere.business_date', of=node_of(fact)) }})
    ) as {{ of_rows }}
{% endmacro %}


{#-
    A key's earliest business date keeps it, so a changed date decides about later ones as well. As a query: the dates,
    none of them changed themselves, that lose a key to a changed date, that lost one to a date later than one that has it
    now, or that get one back. `changed_keys` names the CTE with the keys of the changed dates; `fact` has the keys that
    count, `duplicates` names the model of those left out, with their `kept_business_date`.
-#}
{% macro dates_sharing(fact, key, changed_keys, duplicates) %}
    {%- set lost = adapter.get_relation(this.database, this.schema, duplicates) if published(fact) %}
    select distinct published_date as business_date
    from {{ published_elsewhere(fact, key, changed_keys) }}
    where published_date > business_date
    {%- if lost %}
    union
    select lost.business_date
    from {{ lost }} as lost
    inner join {{ changed_keys }} as changed
        on lost.{{ key }} = changed.{{ key }}
        and lost.kept_business_date > changed.business_date
    where not ({{ is_changed('lost.business_date') }})
    union
    select lost.business_date
    from {{ lost }} as lost
    left join {{ changed_keys }} as changed
        on lost.kept_business_date = changed.business_date
        and lost.{{ key }} = changed.{{ key }}
    where
        {{ is_changed('lost.kept_business_date') }}
        and changed.business_date is null
        and not ({{ is_changed('lost.business_date') }})
    {%- endif %}
{% endmacro %}


{#- Rows of a partitioned table on the dates of a CTE, as a subquery for FROM; date by date, which reads no other. -#}
{% macro rows_on(relation, dates) %}
    (
        select on_date.*
        from {{ dates }}
        cross join lateral (
            select *
            from {{ relation }} as rows_of_all_dates
            where rows_of_all_dates.business_date = {{ dates }}.business_date
            offset 0
        ) as on_date
    ) as {{ dates }}
{% endmacro %}


{#- The dates that joined the model's changed ones by sharing keys with them join the running build, under `feed`. -#}
{% macro mark_dates_shared(feed) %}
    insert into ops.build_date (build_id, feed, business_date)
    select distinct
        build.build_id,
        '{{ feed }}' as feed,
        shared.business_date
    from ops.build as build
    cross join {{ this }} as shared
    where build.status = 'running' and not ({{ is_changed('shared.business_date') }})
    on conflict do nothing
{% endmacro %}
