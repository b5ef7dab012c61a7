{%- set sums = [
    'survey_count', 'satisfied_count', 'recommend_count', 'promoter_points', 'promoter_squared_points',
    'identified_answered_count', 'repeat_1d_count', 'repeat_7d_count', 'repeat_30d_count', 'same_reason_count',
    'answered_count', 'transferred_count', 'handle_seconds', 'handle_squared_seconds', 'wait_answered_seconds',
    'wait_squared_seconds',
] -%}
{%- set outcomes = gap_outcomes() -%}
{%- set keys = ['month_start_date', 'area', 'area_code', 'market', 'answered_by', 'outcome', 'figure_window'] -%}

-- Read in place: PostgreSQL joins it in parallel, which it cannot do with rows that it has stored first.
with cohorts as not materialized (
    select * from {{ ref('agg_rollout_cohorts') }}
),

finality as (
    {{ months_of_calls() }}
),

rollout_digests as (
    {{ rollout_digests('finality', 'cohorts') }}
),

answers as (
    select
        *,
        date_trunc('month', business_date::timestamp)::date as month_start_date,
        100 * (promoter_count - detractor_count) as promoter_points,
        10000 * (promoter_count + detractor_count) as promoter_squared_points,
        repeat_7d_same_reason_count as same_reason_count
    from {{ ref('mart_answers_by_reason_daily') }}
    where answered_by <> 'unknown' and {{ is_in_stale_month('rollout_digests') }}
),

-- A region that is live differs in more than who answers: its calls are not like those of a region that is not.
months as (
    select
        answers.month_start_date,
        answers.region_code,
        answers.directorate_code,
        answers.market,
        answers.reason_code,
        answers.hour_band,
        answers.answered_by,
        coalesce(
            answers.business_date >= cohorts.go_live_date
            and answers.business_date < coalesce(cohorts.withdrawn_on, 'infinity'),
            false
        ) as is_live,
    {% for figure in sums | unique -%}
        sum(answers.{{ figure }})::double precision as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from answers
    left join cohorts on answers.region_code = cohorts.region_code and answers.market = cohorts.market
    group by 1, 2, 3, 4, 5, 6, 7, 8
),

-- By stratum, home's answers beside those of everybody who answers at such hours.
strata as (
    select
        months.month_start_date,
        areas.area,
        areas.area_code,
        markets.market_or_all as market,
        others.answered_by,
        months.market as stratum_market,
        months.is_live,
        months.reason_code,
        months.hour_band,
    {% for figure in sums | unique -%}
        coalesce(sum(months.{{ figure }}) filter (where months.answered_by = 'home'), 0) as home_{{ figure }},
        coalesce(sum(months.{{ figure }}) filter (where months.answered_by <> 'home'), 0) as other_{{ figure }}
        {{- ',' if not loop.last }}
    {% endfor %}
    from months
    cross join
        lateral (
            values ('region', months.region_code), ('directorate', months.directorate_code), ('nation', 'nation')
        ) as areas (area, area_code)
    cross join lateral (values (months.market), ('all')) as markets (market_or_all)
    inner join (
        values ('other_directorate'), ('offshore_in_hours'), ('offshore_off_hours'), ('other_site')
    ) as others (answered_by)
        on months.answered_by = others.answered_by
        or months.answered_by = 'home'
        and (others.answered_by <> 'offshore_in_hours' or months.hour_band like 'open%')
        and (others.answered_by <> 'offshore_off_hours' or months.hour_band not like 'open%')
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9
),

cells as (
    select month_start_date, area, area_code, market, answered_by, figures.*
    from strata
    cross join
        lateral (
            values
            {% for outcome, (figure_window, cases, total, squares) in outcomes.items() -%}
                (
                    '{{ outcome }}', '{{ figure_window }}', home_{{ cases }}, home_{{ total }}, home_{{ squares }},
                    other_{{ cases }}, other_{{ total }}, other_{{ squares }}
                )
                {{- ',' if not loop.last }}
            {% endfor %}
        ) as figures (
            outcome, figure_window, home_count, home_sum, home_squares, other_count, other_sum, other_squares
        )
),

gaps as (
    {{ gaps_to_home('cells', keys) }}
),

final as (
    select
        gaps.month_start_date,
        gaps.area,
        gaps.area_code,
        coalesce(names.name_en, gaps.area_code) as area_name,
        gaps.market,
        gaps.answered_by,
        gaps.outcome,
        gaps.home_count::bigint as home_case_count,
        gaps.other_count::bigint as other_case_count,
        gaps.home_mean::numeric(16, 6) as home_mean,
        gaps.other_mean::numeric(16, 6) as other_mean,
        gaps.raw_gap::numeric(16, 6) as raw_gap,
        gaps.raw_gap_low::numeric(16, 6) as raw_gap_low,
        gaps.raw_gap_high::numeric(16, 6) as raw_gap_high,
        gaps.supported_share::numeric(16, 6) as supported_share,
        gaps.like_gap::numeric(16, 6) as like_gap,
        gaps.like_gap_low::numeric(16, 6) as like_gap_low,
        gaps.like_gap_high::numeric(16, 6) as like_gap_high,
        case when gaps.reason is null then 'estimated' else 'not identified' end as status,
        gaps.reason,
        coalesce(finality.is_whole_period, false) as is_whole_period,
        coalesce(finality.is_final, false) as is_final,
        coalesce(rollout_digests.rollout_digest, 'none') as rollout_digest
    from gaps
    left join finality using (month_start_date, figure_window)
    left join {{ ref('int_names') }} as names on gaps.area = names.kind and gaps.area_code = names.code
    left join rollout_digests using (month_start_date)
    where gaps.other_count > 0
)

select * from final
