{#-
    A call_id's earliest business date keeps it, so a changed date decides about later dates as well: those that hold a
    call_id of the changed dates - as they were (before the model runs) or as they are (after it) - join the running build.
-#}
{% macro mark_dates_sharing_calls() %}
    {%- if is_incremental() %}
    insert into ops.build_date (build_id, feed, business_date)
    select distinct build.build_id, 'calls', later.business_date
    from {{ this }} as changed
    inner join {{ this }} as later
        on changed.row_identity = later.row_identity
        and changed.call_id = later.call_id
        and changed.business_date < later.business_date
    cross join ops.build as build
    where {{ is_changed('changed.business_date') }} and build.status = 'running'
    on conflict do nothing
    {%- endif %}
{% endmacro %}
