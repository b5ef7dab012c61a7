{#- The jobs that the running build recomputes, and those of failed builds before it, as an SQL condition. -#}
{% macro is_changed_job(column='job_id') -%}
    {{ column }} in (select changed.job_id from ops.changed_jobs() as changed (job_id))
{%- endmacro %}


{#-
    The jobs of the changed dates join the running build: those that were there (`is_before`: the model has not run
    yet), and those that are there now. Where the table is rebuilt, those of all dates.
-#}
{% macro mark_jobs_of_changed_dates(is_before=false) %}
    {%- if not is_before or load_relation(this) is not none %}
        {%- set dates = is_changed() if is_incremental() else 'true' %}
        {{ insert_changed_jobs('select job_id from ' ~ this ~ ' where ' ~ dates) }}
    {%- endif %}
{% endmacro %}


{#-
    What a job says of its line (a repair soon after an installation) depends on the line's other jobs: where jobs
    change, the others of their lines, before and after, join the running build.
-#}
{% macro mark_jobs_of_the_same_lines() %}
    {%- if is_incremental() %}
        {%- set others -%}
            select others.job_id
            from {{ this }} as jobs
            inner join {{ this }} as others on jobs.line_key = others.line_key
            where {{ is_changed_job('jobs.job_id') }}
        {%- endset %}
        {{ insert_changed_jobs(others) }}
    {%- endif %}
{% endmacro %}


{% macro insert_changed_jobs(jobs) %}
    insert into ops.build_job (build_id, job_id)
    select distinct
        build.build_id,
        jobs.job_id
    from ops.build as build
    cross join ({{ jobs }}) as jobs
    where build.status = 'running'
    on conflict do nothing
{% endmacro %}


{#-
    Incremental strategy `changed_jobs`: the rows of the changed jobs are replaced. The dates of those that come to
    differ, before and after - the columns `event_dates` of the model's meta - join the running build, and so do those whose
    extract has come or gone: what others tell of a date is shown once its own is there.
-#}
{% macro get_incremental_changed_jobs_sql(arg_dict) %}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) %}
    {%- set target, fresh = arg_dict['target_relation'], arg_dict['temp_relation'] %}
    {%- if model.config.meta.event_dates %}
        {%- set differing = differing_rows(target, fresh, columns, is_changed_job()) %}
        {{ mark_dates('intervention_events', event_dates_of(differing) ~ ' union ' ~ dates_of_extracts()) }};
    {%- endif %}
    delete from {{ target }} where {{ is_changed_job() }};
    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ fresh }}
{% endmacro %}


{#-
    Where the table is rebuilt: all its dates join the running build, and all that any build has known. Should this
    build fail, the next one thus replaces also the dates on which nothing is left.
-#}
{% macro mark_all_dates(subject, dates) %}
    {%- if not is_incremental() %}
        {%- set known = "select business_date from ops.build_date where feed = '" ~ subject ~ "'" %}
        {{ mark_dates(subject, dates ~ ' union ' ~ known) }}
    {%- endif %}
{% endmacro %}


{% macro mark_all_event_dates() %}
    {{ mark_all_dates('intervention_events', event_dates_of('select * from ' ~ this)) }}
{% endmacro %}


{#- The dates whose extract the running build has found changed, and those of failed builds before it. -#}
{% macro dates_of_extracts() %}
    select build_date.business_date
    from ops.build_date
    inner join ops.build using (build_id)
    where build.status = 'running' and build_date.feed = 'interventions'
{% endmacro %}


{% macro event_dates_of(rows) %}
    select dates.business_date
    from ({{ rows }}) as changed
    cross join lateral (
        values (changed.{{ model.config.meta.event_dates | join('), (changed.') }})
    ) as dates (business_date)
    where dates.business_date is not null
{% endmacro %}


{#-
    The dates of a query join the running build under a subject. In order: two models that insert the same dates at once
    then wait for each other one way only.
-#}
{% macro mark_dates(subject, dates) %}
    insert into ops.build_date (build_id, feed, business_date)
    select distinct
        build.build_id,
        '{{ subject }}' as feed,
        dates.business_date
    from ops.build as build
    cross join ({{ dates }}) as dates
    where build.status = 'running'
    order by dates.business_date
    on conflict do nothing
{% endmacro %}
