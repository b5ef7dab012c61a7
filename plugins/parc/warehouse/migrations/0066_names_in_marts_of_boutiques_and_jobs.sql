-- Names of directorates and regions in the marts of boutiques and of the times of jobs.

do $$
declare
    mart text;
    held regclass;
begin
    foreach mart in array array[
        'mart_boutiques_daily', 'mart_boutique_wait_histogram_daily', 'mart_intervention_time_histogram_daily'
    ] loop
        foreach held in array array[to_regclass('build.' || mart), to_regclass('marts.' || mart)] loop
            continue when held is null;
            execute format(
                $sql$
                alter table %1$s add column directorate_name text, add column region_name text;
                update %1$s as mart
                set
                    directorate_name = coalesce(
                        (select names.directorate_name from reference.directorates as names
                        where names.directorate_code = mart.directorate_code), 'Unknown'
                    ),
                    region_name = coalesce(
                        (select names.region_name from reference.regions as names
                        where names.region_code = mart.region_code), 'Unknown'
                    );
                alter table %1$s
                    alter column directorate_name set not null,
                    alter column region_name set not null;
                $sql$, held
            );
        end loop;
    end loop;
end
$$;
