-- The effects are estimated from the panel once it is tested, see parc/rollout.
-- depends_on: {{ ref('agg_rollout_panel_weekly') }}
with effects as (
    select * from {{ ref('stg_rollout__effects') }}
),

final as (
    select
        market,
        outcome,
        effect_kind,
        case effect_kind
            when 'simple' then 'all'
            when 'group' then to_char(group_date, 'YYYY-MM-DD')
            when 'dynamic' then to_char(event_week, 'SG000')
            when 'calendar' then to_char(week_date, 'YYYY-MM-DD')
            when 'group_time' then to_char(group_date, 'YYYY-MM-DD') || ' ' || to_char(week_date, 'YYYY-MM-DD')
        end as effect_key,
        group_date,
        week_date,
        event_week,
        case
            when estimate is null then 'not identified'
            when smallest_p_value > {{ var('effect_level') }} then 'too few'
            else 'estimated'
        end as status,
        estimate,
        treated_mean,
        p_value,
        smallest_p_value,
        treated_region_count,
        region_count,
        directorate_count,
        week_count,
        tried_order_count,
        order_count,
        method,
        library_version,
        reason,
        minimum_detectable_effect,
        planning_effect,
        further_week_count,
        detectable_date,
        power_reason
    from effects
)

select * from final
