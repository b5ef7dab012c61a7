-- Percentiles say whether their period is whole, also those that are built already.

do $$
declare
    mart text;
    held regclass;
begin
    foreach mart in array array[
        'mart_wait_percentiles', 'mart_boutique_wait_percentiles', 'mart_intervention_time_percentiles'
    ] loop
        foreach held in array array[to_regclass('build.' || mart), to_regclass('marts.' || mart)] loop
            -- In `build` of an older version they are views still, which the next build replaces.
            continue when held is null or (select relkind from pg_class where oid = held) <> 'r';
            execute format('alter table %s add column is_whole_period boolean', held);
            execute format(
                $query$
                    update %s as percentiles
                    set is_whole_period = (
                        select bool_and(exists (
                            select from build.%I as histogram where histogram.business_date = day::date
                        ))
                        from generate_series(
                            percentiles.period_start_date::timestamp, percentiles.period_end_date, '1 day'
                        ) as day
                    )
                $query$,
                held, replace(mart, '_percentiles', '_histogram_daily')
            );
        end loop;
    end loop;
end
$$;
