-- Types that every BI tool reads whole: no numeric without a scale, a text beside each array and jsonb.

alter table marts.mart_restatements
    alter column value_before type numeric(28, 6),
    alter column value_after type numeric(28, 6),
    add column if not exists delivery_ids_text text;
update marts.mart_restatements set delivery_ids_text = array_to_string(delivery_ids, ', ');
alter table marts.mart_restatements alter column delivery_ids_text set not null;
comment on column marts.mart_restatements.delivery_ids_text is
    'The same numbers as text, with commas between them, for tools that read no arrays.';

alter table marts.published_build add column if not exists missing_text text not null default '';
update marts.published_build
set missing_text = coalesce(
    (
        select string_agg(concat_ws(' ', gap ->> 'feed', gap ->> 'business_date', gap ->> 'status'), ', ')
        from jsonb_array_elements(missing) as gap
    ),
    ''
);
comment on column marts.published_build.missing_text is
    'The same deliveries as text (feed, business date, status), with commas between them, for tools that read no JSON.';

-- A column of the rates of jobs gets its scale. BI goes on reading the view of the older version until the next build
-- replaces it; a view cannot be replaced by one with another type of a column, so it gets the type here.
do $$
declare
    view_name text;
    of_directorates text;
    old record;
begin
    select
        rtrim(pg_get_viewdef(attrelid), ';') as query,
        string_agg(
            format(
                case when atttypid = 'numeric'::regtype and atttypmod = -1 then '%1$I::numeric(16, 6) as %1$I' else '%I' end,
                attname
            ),
            ', ' order by attnum
        ) as columns
    into old
    from pg_attribute
    where attrelid = to_regclass('marts.mart_intervention_rates') and attnum > 0 and not attisdropped
    group by attrelid
    having bool_or(atttypid = 'numeric'::regtype and atttypmod = -1);
    if not found then
        return;
    end if;
    select definition into of_directorates from ops.regional_view where name = 'mart_intervention_rates';

    set local role parc_transformer;
    for view_name in select unnest(names) from ops.grain_views where relation = 'mart_intervention_rates' loop
        execute format('drop view if exists marts.%I', view_name);
    end loop;
    delete from ops.grain_views where relation = 'mart_intervention_rates';
    drop view if exists regional.mart_intervention_rates;
    drop view marts.mart_intervention_rates;
    execute format(
        'create view marts.mart_intervention_rates as select %s from (%s) as without_scale', old.columns, old.query
    );
    if of_directorates is not null then
        execute 'create view regional.mart_intervention_rates with (security_barrier) as ' || of_directorates;
    end if;
    reset role;
end
$$;
