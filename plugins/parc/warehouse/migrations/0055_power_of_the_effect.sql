-- What the panel of the rollout would show, and when: of the verdict of each market and outcome.

alter table ops.rollout_effect
    add column minimum_detectable_effect numeric(18, 8) check (minimum_detectable_effect >= 0),
    add column planning_effect numeric(18, 8) check (planning_effect >= 0),
    add column further_week_count integer check (further_week_count >= 0),
    add column detectable_date date,
    add column power_reason text,
    add check ((further_week_count is null) = (detectable_date is null));
