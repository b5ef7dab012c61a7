{#-
    A call_id's earliest business date keeps it, so a changed date decides about later dates as well: those that share a
    call_id with it now, and those that lost one to it before. They join the running build.
-#}
{% macro mark_dates_sharing_calls() %}
    {%- if is_incremental() %}
        {%- set duplicates = adapter.get_relation(this.database, this.schema, 'int_call_cross_date_duplicates') %}
        insert into ops.build_date (build_id, feed, business_date)
        select
            build.build_id,
            'calls' as feed,
            shared.business_date
        from ops.build as build
        cross join (
            select later.business_date
            from {{ this }} as changed
            inner join {{ this }} as later
                on changed.row_identity = later.row_identity
                and changed.call_id = later.call_id
                and changed.business_date < later.business_date
            where {{ is_changed('changed.business_date') }}
            {% if duplicates -%}
                union
                select business_date from {{ duplicates }} where {{ is_changed('kept_business_date') }}
            {%- endif %}
        ) as shared
        where build.status = 'running'
        on conflict do nothing
    {%- endif %}
{% endmacro %}
