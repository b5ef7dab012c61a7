-- What facts and marts are added up to is named agg_; it was named int_, as are the steps on the way to the facts.

do $$
declare
    model text;
begin
    foreach model in array array[
        'calls_after_jobs_daily', 'calls_and_visits_daily', 'calls_daily', 'interventions_daily',
        'missed_repeats_daily', 'rollout_panel_weekly', 'site_calls_daily'
    ] loop
        execute format('alter table if exists intermediate.int_%1$s rename to agg_%1$s', model);
    end loop;
end
$$;
