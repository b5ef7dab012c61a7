{#-
    Tables that hold dates whose raw rows are gone cannot be rebuilt: where any date is past retention, a full refresh
    (`keeps_expired_dates`, given by parc/build) replaces all other dates of the incremental models instead, and appends
    the columns that are new to them. These two are dbt's own, but for that.
-#}
{% macro should_full_refresh() %}
    {%- set is_kept = var('keeps_expired_dates', false) and model.config.materialized == 'incremental' -%}
    {{ return(flags.FULL_REFRESH and not is_kept) }}
{% endmacro %}


{% macro incremental_validate_on_schema_change(on_schema_change, default='ignore') %}
    {{ return('append_new_columns' if var('keeps_expired_dates', false) else on_schema_change or default) }}
{% endmacro %}
