-- Types that every BI tool reads whole: no numeric without a scale, a text beside each array and jsonb.

alter table marts.mart_restatements
    alter column value_before type numeric(28, 6),
    alter column value_after type numeric(28, 6),
    add column delivery_ids_text text;
update marts.mart_restatements set delivery_ids_text = array_to_string(delivery_ids, ', ');
alter table marts.mart_restatements alter column delivery_ids_text set not null;
comment on column marts.mart_restatements.delivery_ids_text is
    'The same numbers as text, with commas between them, for tools that read no arrays.';

alter table marts.published_build add column missing_text text not null default '';
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

-- A column of the rates of jobs gets its scale; the next build makes these views again.
do $$
declare
    view_name text;
begin
    for view_name in select unnest(names) from ops.grain_views where relation = 'mart_intervention_rates' loop
        execute format('drop view if exists marts.%I', view_name);
    end loop;
end
$$;
delete from ops.grain_views where relation = 'mart_intervention_rates';
delete from ops.regional_view where name = 'mart_intervention_rates';
drop view if exists regional.mart_intervention_rates;
drop view if exists marts.mart_intervention_rates;
