-- When data came and was seen, and which table the switch had when: for charts, beside the figures.

create view marts.mart_punctuality as
with arrived as (
    select
        business_date,
        feed,
        min(landed_at) filter (where published_at is not null) as came_at,
        min(published_at) as published_at,
        min(built_in) as build_id,
        bool_or(status = 'refused') and not bool_or(published_at is not null) as is_refused
    from ops.delivery
    where status <> 'withdrawn' and not is_misdated
    group by business_date, feed
),

released as (
    select
        release.business_date,
        min(event.at) as released_at
    from ops.routing_release as release
    inner join ops.routing_release_event as event using (release_id)
    where event.event = 'activated' and release.kind in ('bootstrap', 'release')
    group by release.business_date
),

final as (
    select
        arrived.business_date,
        arrived.feed,
        arrived.came_at,
        arrived.published_at,
        arrived.build_id,
        arrived.is_refused,
        released.released_at,
        (arrived.business_date + 1 + time '06:00') at time zone 'Europe/Paris' as deadline_at,
        case when build.status = 'published' then build.finished_at end as seen_at
    from arrived
    left join ops.build as build using (build_id)
    left join released using (business_date)
)

select
    business_date,
    feed,
    came_at,
    published_at,
    build_id,
    seen_at,
    released_at,
    deadline_at,
    is_refused,
    seen_at <= deadline_at as is_on_time,
    deadline_at < (select min(landed_at) from ops.delivery) as is_backfill
from final;
comment on view marts.mart_punctuality is
    'When the first good delivery of a feed came, was published and was seen by BI, and when the switch followed. One row per business date and feed of which anything came; instants are UTC.';
comment on column marts.mart_punctuality.business_date is 'Date that the delivery is about (Europe/Paris).';
comment on column marts.mart_punctuality.feed is 'Feed, as in mart_feed_health, which says when each was due.';
comment on column marts.mart_punctuality.came_at is 'When its first good delivery lay whole in the landing zone; null if none came.';
comment on column marts.mart_punctuality.published_at is 'When that delivery''s rows were published in the warehouse.';
comment on column marts.mart_punctuality.build_id is 'First published build that contains it.';
comment on column marts.mart_punctuality.seen_at is 'When BI saw that build; null before.';
comment on column marts.mart_punctuality.released_at is 'When the first table for the switch that was made from this business date went live; null if none was.';
comment on column marts.mart_punctuality.deadline_at is 'When BI should see it: 06:00 of the next day in Paris.';
comment on column marts.mart_punctuality.is_refused is 'Whether something came but nothing good.';
comment on column marts.mart_punctuality.is_on_time is 'Whether BI saw it by the deadline; null while it does not see it.';
comment on column marts.mart_punctuality.is_backfill is 'Whether its deadline had passed before the platform loaded anything: it says nothing of punctuality.';

create view marts.mart_releases as
with ended as (
    select
        release_id,
        event,
        at,
        case when event = 'activated' then lead(at) over (partition by event order by at) end as live_until_at
    from ops.routing_release_event
    where event <> 'staged'
)

select
    release.release_id,
    release.kind,
    release.version,
    release.base_version,
    release.business_date,
    release.effective_date,
    release.created_at as began_at,
    coalesce(ended.event, 'not ended') as outcome,
    case when ended.event = 'activated' then ended.at end as live_from_at,
    ended.live_until_at,
    release.calls_moved_share,
    release.requested_by,
    release.approved_by,
    release.build_id
from ops.routing_release as release
left join ended using (release_id);
comment on view marts.mart_releases is
    'Which table the switch had when, and who approved it. One row per release that was begun; instants are UTC.';
comment on column marts.mart_releases.release_id is 'Number of the release.';
comment on column marts.mart_releases.kind is 'bootstrap (the first table), release, adopt (what the switch held was taken over), rollback, emergency (all routes national).';
comment on column marts.mart_releases.version is 'The table''s version on the switch; a rollback names an earlier one.';
comment on column marts.mart_releases.base_version is 'Version that was live before; null where the switch was empty.';
comment on column marts.mart_releases.business_date is 'Date of the data that it was made from; null if it was not made from data.';
comment on column marts.mart_releases.effective_date is 'First day that the table was made for.';
comment on column marts.mart_releases.began_at is 'When it was begun.';
comment on column marts.mart_releases.outcome is 'activated (it went live and was read back), rolled_back, failed, abandoned (its process died before the switch changed), not ended.';
comment on column marts.mart_releases.live_from_at is 'When it went live; null if it did not.';
comment on column marts.mart_releases.live_until_at is 'When the next one went live; null while it is live.';
comment on column marts.mart_releases.calls_moved_share is 'Share (0-1) of recent calls that go elsewhere with it; null where unknown.';
comment on column marts.mart_releases.requested_by is 'Who asked for it; the DAG or the night where no person did.';
comment on column marts.mart_releases.approved_by is 'Who approved it; null where nobody had to.';
comment on column marts.mart_releases.build_id is 'Build of the marts that it was made from.';

-- As the other marts: a view reads what its owner may read.
grant select on ops.routing_release, ops.routing_release_event to parc_transformer;
alter view marts.mart_punctuality owner to parc_transformer;
alter view marts.mart_releases owner to parc_transformer;
grant select on marts.mart_punctuality, marts.mart_releases to parc_exporter, parc_reader, bi_reader;
