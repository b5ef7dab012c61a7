{#-
    dbt's materializations, with as much of each in one statement as there can be: nobody but a build reads the schemas that
    it writes to, so nothing need be kept beside the new while the new is made, and each statement of dbt's own costs
    some milliseconds of its time (half of what a small day takes). All in one transaction: killed, nothing has changed.
-#}

{% materialization table, adapter='postgres' %}
    {%- set target_relation, fresh = this.incorporate(type='table'), make_intermediate_relation(this) %}
    {{ run_hooks(pre_hooks) }}
    {%- set is_kept = keeps_its_shape() %}
    {%- call statement('main') %}
        {%- if is_kept %}
            truncate {{ this }};
            insert into {{ this }} {{ selected_as_declared(sql) }}
        {%- else %}
            drop table if exists {{ fresh }};
            {{ get_create_table_as_sql(false, fresh, sql) }}
        {%- endif %}
    {%- endcall %}
    {%- call statement('finish') %}
        {%- if not is_kept %}
            {{ drop_if_exists(this) }}
            alter table {{ fresh }} rename to {{ adapter.quote(this.identifier) }};
        {%- endif %}
        {{ finish(target_relation, is_new=not is_kept) }}
    {%- endcall %}
    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#-
    Replaced in place where no column changes, so that what reads it stays: the command line always finds the views of the
    feed calendar. Else, and where BI reads a copy of it, what reads it is made again later in the same build.
-#}
{% materialization view, adapter='postgres' %}
    {%- set target_relation, is_of_bi = this.incorporate(type='view'), config.get('contract').enforced %}
    {{ run_hooks(pre_hooks) }}
    {%- set is_replaced = not is_of_bi and has_columns_of(this, sql) %}
    {{ get_assert_columns_equivalent(sql) if is_of_bi }}
    {%- call statement('main') %}
        {{ drop_if_exists(this) if not is_replaced }}
        create or replace view {{ target_relation }} as {{ sql }};
        {{ comments(target_relation) }}
    {%- endcall %}
    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#-
    Whether a query begins with all columns of a view that is there. dbt's cache may know one that was dropped with a table
    that it read; those of sources alone never are.
-#}
{% macro has_columns_of(relation, query) %}
    {%- set existing = load_cached_relation(relation) %}
    {%- if existing is none or not existing.is_view -%}{{ return(false) }}{%- endif -%}
    {%- if model.refs and run_query("select to_regclass('" ~ relation ~ "')")[0][0] is none -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set columns, fresh = columns_of_both('select * from ' ~ relation, query) %}
    {{ return(fresh[:columns | length] == columns) }}
{% endmacro %}


{#- The columns of two queries, asked of the database at once. -#}
{% macro columns_of_both(one, other) %}
    {%- set columns = get_column_schema_from_query(
        'select * from (' ~ one ~ '\n) as one cross join (select null as "|") as middle cross join (' ~ other
        ~ '\n) as other where false'
    ) %}
    {%- set middle = (columns | map(attribute='name') | list).index('|') %}
    {{ return([columns[:middle], columns[middle + 1:]]) }}
{% endmacro %}


{#- dbt's own asks twice. -#}
{% macro postgres__get_assert_columns_equivalent(sql) %}
    {%- set built, declared = columns_of_both(sql, get_empty_schema_sql(model.columns)) %}
    {%- set built, declared = format_columns(built), format_columns(declared) %}
    {%- if built | map(attribute='formatted') | sort != declared | map(attribute='formatted') | sort %}
        {%- do exceptions.raise_contract_error(declared, built) %}
    {%- endif %}
{% endmacro %}


{#-
    Whether the table of this model is there with its columns, constraints and comments: parc/build says so where seeds and
    project are the published build's.
-#}
{% macro keeps_its_shape() %}
    {{ return(env_var('PARC_KEEPS_SHAPES', 'no') == 'yes' and load_cached_relation(this) is not none) }}
{% endmacro %}


{#- The rows of a query for an insert, in the order of the contract if there is one. -#}
{% macro selected_as_declared(sql) %}
    {%- if config.get('contract').enforced %}
        ({{ adapter.dispatch('get_column_names', 'dbt')() }})
        {{ get_select_subquery(sql) }}
    {%- else %}
        {{ sql }}
    {%- endif %}
{% endmacro %}


{#- Rebuilt as a table is, else the strategy's macro replaces the rows of the changed dates or jobs. -#}
{% materialization incremental, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) %}
    {%- if existing is none or existing.is_view or should_full_refresh() %}
        {{ return(materialization_table_postgres()) }}
    {%- endif %}
    {%- set target_relation, fresh = this.incorporate(type='table'), make_temp_relation(this) %}
    {{ run_hooks(pre_hooks) }}
    {%- call statement('fresh', fetch_result=true) %}
        {%- if keeps_its_shape() %}
            create temporary table {{ fresh }} as (
                {{ sql }}
            );
        {%- else %}
            {{ get_create_table_as_sql(true, fresh, sql) }}
        {%- endif %}
        {{ compared_columns(fresh, this) }}
    {%- endcall %}
    {%- set columns = columns_to_replace(fresh, existing, load_result('fresh').table.rows) %}
    {%- set replace = adapter.get_incremental_strategy_macro(context, config.get('incremental_strategy')) %}
    {%- call statement('main') %}
        {{ replace({'target_relation': target_relation, 'temp_relation': fresh, 'dest_columns': columns}) }}
    {%- endcall %}
    {%- call statement('finish') %}
        {%- set dates = columns | selectattr('dtype', 'equalto', 'date') | map(attribute='name') | list %}
        {{ finish(target_relation, dates=dates) }}
    {%- endcall %}
    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- The columns of either of two tables, as a query: `name`, and the type that each gives it. -#}
{% macro compared_columns(fresh, existing) %}
    select
        coalesce(fresh.name, existing.name) as name,
        fresh.data_type as fresh_type,
        existing.data_type as existing_type
    from ({{ columns_in_catalogue(fresh) }}) as fresh
    full join ({{ columns_in_catalogue(existing) }}) as existing on fresh.name = existing.name
    order by fresh.position, existing.position
{% endmacro %}


{% macro columns_in_catalogue(relation) %}
    select
        attname::text as name,
        attnum as position,
        format_type(atttypid, atttypmod) as data_type
    from pg_attribute
    where attrelid = '{{ relation }}'::regclass and attnum > 0 and not attisdropped
{% endmacro %}


{#-
    The columns to replace, from their comparison. Where they differ: an error that names them, or, if the
    dates past retention are kept, those that are new are appended.
-#}
{% macro columns_to_replace(fresh, existing, compared) %}
    {%- set columns, added, gone, retyped = [], [], [], [] %}
    {%- for row in compared %}
        {%- do columns.append(api.Column(row.name, row.fresh_type)) if row.fresh_type is not none %}
        {%- if row.existing_type is none %}
            {%- do added.append(row.name) %}
        {%- elif row.fresh_type is none %}
            {%- do gone.append(row.name) %}
        {%- elif row.fresh_type != row.existing_type %}
            {%- do retyped.append(row.name) %}
        {%- endif %}
    {%- endfor %}
    {%- if not (added or gone or retyped) -%}{{ return(columns) }}{%- endif %}
    {%- set on_schema_change = incremental_validate_on_schema_change(config.get('on_schema_change')) %}
    {%- if on_schema_change != 'fail' %}
        {{ return(process_schema_changes(on_schema_change, fresh, existing)) }}
    {%- endif %}
    {%- do exceptions.raise_compiler_error(
        'the table has other columns than the model (added: ' ~ (added | join(', ') or 'none')
        ~ '; gone: ' ~ (gone | join(', ') or 'none') ~ '; of another type: ' ~ (retyped | join(', ') or 'none')
        ~ ')'
    ) %}
{% endmacro %}


{#- What is there may be of the other kind. What depends on it is made again later in the same build. -#}
{% macro drop_if_exists(relation) %}
    {%- set existing = load_cached_relation(relation) %}
    drop {{ 'view' if existing is not none and existing.is_view else 'table' }} if exists {{ relation }} cascade;
{% endmacro %}


{#-
    The indexes of a new table, the comments and the figures that the next model is planned by: of one that was there, of its
    `dates` alone, as those of tonight are new to the planner. What else its columns hold changes little by little:
    autovacuum keeps count of it.
-#}
{% macro finish(relation, is_new=false, dates=[]) %}
    {%- for index in config.get('indexes', default=[]) if is_new %}
        {{ get_create_index_sql(relation, index) }};
    {%- endfor %}
    {{ comments(relation) if not keeps_its_shape() }}
    analyze {{ relation }}{% if dates %} ({{ dates | join(', ') }}){% endif %};
{% endmacro %}


{% macro comments(relation) %}
    {{ alter_relation_comment(relation, model.description) }}
    {%- for column in model.columns.values() %}
        comment on column {{ relation }}.{{ column.name }} is {{ postgres_escape_comment(column.description) }};
    {%- endfor %}
{% endmacro %}


{#- For seeds, which keep dbt's own materialization: it looks the columns up twice, to skip those that are absent. -#}
{% macro postgres__persist_docs(relation, model, for_relation, for_columns) %}
    {%- call statement('comments') %}
        {{ comments(relation) }}
    {%- endcall %}
{% endmacro %}
