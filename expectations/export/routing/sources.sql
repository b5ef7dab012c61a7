-- What the release of a business date is made of: published deliveries, seeds and the build that has them. It
-- takes effect the day after.
with release as (
    select
        %(business_date)s::date as business_date,
        %(business_date)s::date + 1 as effective_date
),

calendar as (
    select
        due.feed,
        due.due_date
    from release
    cross join
        lateral (
            select
                feeds.feed,
                feeds.first_due_date,
                ops.due_date(feeds.cadence, release.business_date) as due_date
            from unnest(
                %(calendar_feeds)s::text[], %(calendar_cadences)s::text[], %(calendar_first_dates)s::date[]
            ) as feeds (feed, cadence, first_due_date)
        ) as due
    where due.due_date >= due.first_due_date
),

-- In force: the newest snapshot up to the effective date, else the earliest; then the one that it replaced.
snapshots as (
    select
        deliveries.feed,
        deliveries.business_date,
        deliveries.delivery_id,
        deliveries.rows_published,
        deliveries.built_in,
        row_number() over (
            partition by deliveries.feed
            order by
                deliveries.business_date <= release.effective_date desc,
                abs(deliveries.business_date - release.effective_date) asc
        ) as place
    from ops.delivery as deliveries
    cross join release
    where deliveries.status = 'published' and deliveries.feed in ('numbering_plan', 'line_assignments')
),

deliveries as (
    select
        feeds.feed,
        in_force.business_date as snapshot_date,
        calendar.due_date,
        greatest(calendar.due_date - in_force.business_date, 0) as days_behind,
        in_force.rows_published,
        earlier.business_date as earlier_date,
        earlier.rows_published as earlier_rows,
        case
            when in_force.built_in is null
                then feeds.feed || ' ' || in_force.business_date || ' (delivery ' || in_force.delivery_id || ')'
        end as unbuilt
    from (values ('numbering_plan'), ('line_assignments')) as feeds (feed)
    left join calendar on feeds.feed = calendar.feed
    left join snapshots as in_force on feeds.feed = in_force.feed and in_force.place = 1
    left join lateral (
        select
            snapshots.business_date,
            snapshots.rows_published
        from snapshots
        where snapshots.feed = feeds.feed and snapshots.business_date < in_force.business_date
        order by snapshots.business_date desc
        limit 1
    ) as earlier on true
),

seeds as (
    select string_agg(seed.name, ', ' order by seed.name) as unbuilt_seeds
    from unnest(%(seed_names)s::text[], %(seed_digests)s::text[]) as seed (name, digest)
    left join ops.seed_version as built on seed.name = built.seed
    where built.sha256 is distinct from seed.digest
),

last_build as (
    select
        'the last build, ' || build_id || ', '
        || case status
            when 'failed' then 'failed' when 'running' then 'is running' when 'published' then 'was without them'
            else 'did not end'
        end as what
    from ops.build
    order by build_id desc
    limit 1
)

select
    (select string_agg(unbuilt, ', ' order by feed desc) from deliveries) as unbuilt_deliveries,
    seeds.unbuilt_seeds,
    coalesce((select what from last_build), 'there was no build yet') as last_build,
    (
        select 'build ' || build_id from marts.published_build
        where build_id <> %(read_build_id)s::bigint
    ) as build_published_meanwhile,
    to_char(plan_delivery.snapshot_date, 'YYYY-MM-DD') as numbering_snapshot,
    to_char(plan_delivery.due_date, 'YYYY-MM-DD') as numbering_due,
    case when plan_delivery.snapshot_date is null then 0 else 1 end as numbering_snapshots,
    plan_delivery.days_behind as numbering_days_behind,
    plan_delivery.rows_published as numbering_rows,
    plan_delivery.earlier_rows as earlier_numbering_rows,
    case
        when plan_delivery.earlier_rows >= 100
            then
                100.0 * plan_delivery.rows_published / plan_delivery.earlier_rows
    end as percent_of_earlier_numbering,
    to_char(line_delivery.snapshot_date, 'YYYY-MM-DD') as assignments_snapshot,
    to_char(line_delivery.due_date, 'YYYY-MM-DD') as assignments_due,
    line_delivery.days_behind as assignments_days_behind
from seeds
inner join deliveries as plan_delivery on plan_delivery.feed = 'numbering_plan'
inner join deliveries as line_delivery on line_delivery.feed = 'line_assignments'
