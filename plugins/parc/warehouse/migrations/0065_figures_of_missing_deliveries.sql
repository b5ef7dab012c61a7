-- Figures of a date without its delivery are null, no longer 0; stocks have names of their own; times of jobs are kept of
-- dates with an extract only.

do $$
declare
    figure record;
    schema_name text;
begin
    for figure in
        select attrelid::regclass as mart, attname as name
        from pg_attribute
        where attrelid in (
                to_regclass('marts.mart_interventions_daily'), to_regclass('marts.mart_directorate_scorecard_daily')
            )
            and attnum > 0 and not attisdropped and attnotnull
            and attname <> all (array['business_date', 'directorate_code', 'region_code', 'kind'])
            and attname not like '%\_person\_count'
    loop
        execute format('alter table %s alter column %I drop not null', figure.mart, figure.name);
    end loop;

    foreach schema_name in array array['build', 'marts'] loop
        if to_regclass(schema_name || '.mart_boutiques_daily') is not null then
            execute format(
                $sql$
                alter table %1$I.mart_boutiques_daily
                    add column is_boutique_visits_complete boolean not null default true,
                    add column open_boutique_stock bigint not null default 0;
                alter table %1$I.mart_boutiques_daily
                    alter column is_boutique_visits_complete drop default,
                    alter column open_boutique_stock drop default;
                update %1$I.mart_boutiques_daily set open_boutique_stock = open_boutique_count;
                $sql$,
                schema_name
            );
        end if;
        if to_regclass(schema_name || '.mart_intervention_time_histogram_daily') is not null then
            execute format(
                $sql$
                delete from %1$I.mart_intervention_time_histogram_daily
                where business_date not in (
                    select business_date
                    from ops.delivery
                    where feed = 'interventions' and built_in is not null
                    group by business_date
                    having max(delivery_id) filter (where status in ('published', 'superseded'))
                        > coalesce(max(delivery_id) filter (where status = 'withdrawn'), 0)
                )
                $sql$,
                schema_name
            );
        end if;
    end loop;
end
$$;
