{#-
    A key's earliest business date keeps it (a call_id, a visit_id), so a changed date decides about later dates as well:
    those that share a key with it now, and those that lost one to it before. They join the running build, under `feed`.
    `duplicates` names the model that lists the lost ones with their `kept_business_date`.
-#}
{% macro mark_dates_sharing(feed, key, duplicates) %}
    {%- if is_incremental() %}
        {%- set lost = adapter.get_relation(this.database, this.schema, duplicates) %}
        insert into ops.build_date (build_id, feed, business_date)
        select
            build.build_id,
            '{{ feed }}' as feed,
            shared.business_date
        from ops.build as build
        cross join (
            select later.business_date
            from {{ this }} as changed
            inner join {{ this }} as later
                on changed.row_identity = later.row_identity
                and changed.{{ key }} = later.{{ key }}
                and changed.business_date < later.business_date
            where {{ is_changed('changed.business_date') }}
            {% if lost -%}
                union
                select business_date from {{ lost }} where {{ is_changed('kept_business_date') }}
            {%- endif %}
        ) as shared
        where build.status = 'running'
        on conflict do nothing
    {%- endif %}
{% endmacro %}
