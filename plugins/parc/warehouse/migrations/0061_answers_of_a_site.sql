-- What those said whom a site answered, as the model counts it from now on.

do $$
begin
    if to_regclass('intermediate.agg_site_calls_daily') is null then
        return;
    end if;
    set local role parc_transformer;
    alter table intermediate.agg_site_calls_daily
        add column if not exists survey_count bigint,
        add column if not exists satisfied_count bigint;
    update intermediate.agg_site_calls_daily as daily
    set survey_count = counted.surveys, satisfied_count = counted.satisfied
    from (
        select
            business_date, coalesce(site_code, 'unknown') as site_code,
            count(satisfaction) as surveys, count(*) filter (where satisfaction >= 4) as satisfied
        from marts.fct_calls
        where outcome = 'answered'
        group by 1, 2
    ) as counted
    where daily.business_date = counted.business_date and daily.site_code = counted.site_code;
    reset role;
end
$$;
