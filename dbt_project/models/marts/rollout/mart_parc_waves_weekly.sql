{%- set of_wave = 'regions.wave = waves.wave' -%}
{#- The week of going live counts as live, as for the effect. -#}
{%- set not_yet_live -%}
    regions.wave is distinct from waves.wave
    and regions.is_comparable
    and (regions.go_live_date is null or regions.go_live_date >= regions.week_start_date + 7)
{%- endset -%}
{%- set measured = ['home_region_rate', 'service_level', 'call_rate', 'satisfaction'] -%}
{%- set compared = [] -%}
{%- for name in measured -%}
    {%- do compared.extend([(name, name, of_wave), ('not_yet_live_' ~ name, name, not_yet_live)]) -%}
{%- endfor -%}

with metrics as (
    select * from {{ ref('agg_metrics_weekly') }}
),

cohorts as (
    select * from {{ ref('agg_rollout_cohorts') }}
),

rollout_days as (
    select * from {{ ref('mart_parc_rollout_daily') }}
),

finality as (
    select * from {{ ref('mart_finality_daily') }}
),

waves as (
    select
        market,
        wave,
        count(*) as region_count,
        min(planned_go_live_date) as planned_go_live_date,
        min(observed_go_live_date) as first_observed_go_live_date,
        case when count(observed_go_live_date) = count(*) then max(observed_go_live_date) end
            as last_observed_go_live_date,
        max(slip_days) as slip_days,
        date_trunc('week', coalesce(min(go_live_date), min(planned_go_live_date))::timestamp)::date as go_live_week
    from cohorts
    where wave is not null
    group by 1, 2
),

weeks as (
    select
        date_trunc('week', business_date::timestamp)::date as week_start_date,
        count(*) filter (where figure_window = 'calls' and status = 'final') = 7 as is_calls_final,
        count(*) filter (where figure_window = 'call_rate' and status = 'final') = 7 as is_call_rate_final
    from finality
    group by 1
),

-- Added, not joined: a join would compare every week of a region with every other.
facts as (
    select
        date_trunc('week', business_date::timestamp)::date as week_start_date,
        region_code,
        market,
        status,
        null as metric,
        null::numeric as numerator,
        null::numeric as denominator
    from rollout_days
    union all
    select week_start_date, region_code, market, null as status, metric, numerator, denominator
    from metrics
    where market is not null
),

-- A numerator without its denominator is left out: a region without known lines has no call rate.
region_weeks as (
    select
        week_start_date,
        region_code,
        market,
        count(status) as day_count,
        bool_or(status in ('live', 'stalled')) as is_live,
        bool_or(status = 'stalled') as is_stalled,
        bool_or(status = 'reverted') as is_reverted,
    {% for name in measured -%}
        max(numerator) filter (where metric = '{{ name }}' and denominator is not null) as {{ name }}_numerator,
        max(denominator) filter (where metric = '{{ name }}') as {{ name }}_denominator{{ ',' if not loop.last }}
    {% endfor %}
    from facts
    group by 1, 2, 3
),

regions as (
    select
        region_weeks.*,
        cohorts.wave,
        cohorts.go_live_date,
        cohorts.is_comparable
    from region_weeks
    inner join cohorts using (region_code, market)
),

compared as (
    select
        waves.market,
        waves.wave,
        regions.week_start_date,
        max(regions.day_count) as day_count,
        count(*) filter (where {{ of_wave }} and regions.is_live) as live_region_count,
        count(*) filter (where {{ of_wave }} and regions.is_stalled) as stalled_region_count,
        count(*) filter (where {{ of_wave }} and regions.is_reverted) as reverted_region_count,
        count(*) filter (where {{ not_yet_live }}) as not_yet_live_region_count,
    {% for column, name, chosen in compared -%}
        coalesce(sum(regions.{{ name }}_numerator) filter (where {{ chosen }}), 0)::bigint
            as {{ column }}_numerator,
        coalesce(sum(regions.{{ name }}_denominator) filter (where {{ chosen }}), 0)::bigint
            as {{ column }}_denominator{{ ',' if not loop.last }}
    {% endfor %}
    from waves
    inner join regions on waves.market = regions.market
    group by 1, 2, 3
),

final as (
    select
        compared.market,
        compared.wave,
        ((compared.week_start_date - waves.go_live_week) / 7)::integer as event_week,
        compared.week_start_date,
        compared.day_count,
        compared.day_count = 7 as is_whole_period,
        weeks.is_calls_final,
        weeks.is_call_rate_final,
        waves.planned_go_live_date,
        waves.first_observed_go_live_date,
        waves.last_observed_go_live_date,
        waves.slip_days,
        waves.region_count,
        compared.live_region_count,
        compared.stalled_region_count,
        compared.reverted_region_count,
        compared.not_yet_live_region_count,
    {% for column, name, _ in compared -%}
        compared.{{ column }}_numerator,
        compared.{{ column }}_denominator,
        {{ weekly_rate('service_quality', name, 'compared.' ~ column) }} as {{ column }}{{ ',' if not loop.last }}
    {% endfor %}
    from compared
    inner join waves using (market, wave)
    inner join weeks using (week_start_date)
)

select * from final
