-- No state is lost and none counts twice: states of all jobs + copies of them = rows the ledger published, of each
-- extract that this build reads and in all. An extract that was sent again after this build began is the next build's.
{{ config(meta={'feeds': ['interventions']}) }}

with deliveries as (
    select
        built.business_date,
        built.rows_published,
        published.delivery_id is not null as is_in_force
    from {{ ref('int_built_deliveries') }} as built
    left join {{ ref('stg_ledger__deliveries') }} as published
        on built.delivery_id = published.delivery_id and published.status = 'published'
    where built.feed = 'interventions'
),

extracts as (
    select
        business_date,
        count(*) as state_count
    from {{ ref('int_intervention_states') }}
    where {{ is_changed() }}
    group by business_date
),

compared as (
    select
        deliveries.business_date,
        deliveries.rows_published,
        coalesce(extracts.state_count, 0) as state_count
    from deliveries
    left join extracts on deliveries.business_date = extracts.business_date
    where deliveries.is_in_force and {{ is_changed('deliveries.business_date') }}
    union all
    select
        null as business_date,
        coalesce(sum(deliveries.rows_published), 0) as rows_published,
        (
            select coalesce(sum(state_count + duplicate_state_count), 0) from {{ ref('agg_interventions_daily') }}
        ) as state_count
    from deliveries
    having coalesce(bool_and(deliveries.is_in_force), true)
)

select * from compared
where rows_published <> state_count
