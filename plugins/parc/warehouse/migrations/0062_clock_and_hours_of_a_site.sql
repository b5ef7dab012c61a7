-- The half-hours of the sites on their own clocks, with names and hours. The next build counts agents and finished legs of
-- all dates whose raw rows are there; of older ones they stay unknown.

do $$
declare
    schema_name text;
begin
    if to_regclass('marts.mart_site_load_half_hourly') is null then
        return;
    end if;
    set local role parc_transformer;
    alter table reference.sites
        add column if not exists region_code text,
        add column if not exists holiday_calendar text;
    alter table intermediate.int_site_work_half_hourly
        add column if not exists finished_leg_count bigint,
        add column if not exists agent_count bigint;
    foreach schema_name in array array['build', 'marts'] loop
        execute format(
            $sql$
            alter table %1$I.mart_site_load_half_hourly
                add column if not exists site_name text,
                add column if not exists directorate_code text,
                add column if not exists directorate_name text,
                add column if not exists region_name text,
                add column if not exists local_date date,
                add column if not exists half_hour_local time,
                add column if not exists weekday smallint,
                add column if not exists is_open boolean,
                add column if not exists finished_leg_count bigint,
                add column if not exists agent_count bigint;
            update %1$I.mart_site_load_half_hourly as mart
            set
                site_name = sites.site_name,
                directorate_code = sites.directorate_code,
                directorate_name = directorates.directorate_name,
                local_date = (mart.half_hour_at at time zone sites.time_zone)::date,
                half_hour_local = (mart.half_hour_at at time zone sites.time_zone)::time,
                weekday = extract(isodow from mart.half_hour_at at time zone sites.time_zone),
                is_open = mart.position_count > 0
            from reference.sites
            left join reference.directorates using (directorate_code)
            where mart.site_code = sites.site_code
            $sql$,
            schema_name
        );
    end loop;
    reset role;
end
$$;
