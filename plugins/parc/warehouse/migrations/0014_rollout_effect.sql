-- Effects of the rollout, estimated outside SQL between two selections of a build; mart_parc_effect is made of them.

create table ops.rollout_effect (
    market text not null,
    outcome text not null,
    effect_kind text not null check (effect_kind in ('simple', 'group', 'dynamic', 'calendar', 'group_time')),
    group_date date,
    week_date date,
    event_week integer,
    estimate numeric(18, 8),
    treated_mean numeric(18, 8),
    p_value numeric(9, 8) check (p_value > 0 and p_value <= 1),
    smallest_p_value numeric(9, 8) check (smallest_p_value <= p_value),
    treated_region_count integer not null,
    region_count integer not null,
    directorate_count integer not null,
    week_count integer not null,
    tried_order_count integer not null,
    order_count bigint not null,
    method text not null,
    library_version text not null,
    reason text,
    input_sha256 text not null,
    unique nulls not distinct (market, outcome, effect_kind, group_date, week_date, event_week),
    check ((reason is null) = (estimate is not null and treated_mean is not null and p_value is not null
        and smallest_p_value is not null))
);
comment on table ops.rollout_effect is
    'Effects of going live as the last build estimated them; columns as in marts.mart_parc_effect. A market and outcome is estimated anew when its input_sha256 is another.';
comment on column ops.rollout_effect.input_sha256 is 'Digest of the panel, the code and the library''s version.';

grant select, insert, delete on ops.rollout_effect to parc_transformer;
