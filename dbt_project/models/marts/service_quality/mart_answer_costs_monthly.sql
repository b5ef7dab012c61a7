with answers as (
    select * from {{ ref('mart_answers_daily') }}
    where answered_by <> 'unknown'
),

costs as (
    select * from {{ ref('handling_costs') }}
),

finality as (
    {{ months_of_calls() }}
),

months as (
    select
        date_trunc('month', answers.business_date::timestamp)::date as month_start_date,
        answers.directorate_code,
        answers.region_code,
        answers.market,
        answers.answered_by,
        sum(answers.answered_count)::bigint as answered_count,
        sum(answers.handle_seconds)::bigint as handle_seconds,
        sum(answers.identified_answered_count)::bigint as identified_answered_count,
        sum(answers.repeat_7d_count)::bigint as repeat_7d_count,
        (sum(answers.handle_seconds) * max(costs.cost_per_minute_cents) / 6000)::numeric(18, 4) as handle_cost_euros,
        bool_or(costs.is_sample) as is_sample
    from answers
    inner join costs
        on costs.site_kind = case when answers.answered_by like 'offshore%' then 'partner' else 'regional' end
    group by 1, 2, 3, 4, 5
),

whole as (
    select
        months.*,
        coalesce(finality.is_whole_period, false) as is_whole_period
    from months
    left join finality
        on months.month_start_date = finality.month_start_date
        and finality.figure_window = 'calls'
),

final as (
    {{ named('whole') }}
)

select * from final
