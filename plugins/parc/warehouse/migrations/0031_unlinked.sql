-- Facts past retention lose their person keys; what is past retention of a feed, missing dates too, is never recomputed.

alter table ops.delivery add column unlinked_at timestamptz;
comment on column ops.delivery.unlinked_at is
    'When retention took the person keys from the facts of its date (UTC instant); their rows stay. Null = they have them, or there were none.';
grant update (unlinked_at) on ops.delivery to parc_transformer;

create or replace function ops.changed_dates(
    feeds text[], lookback_days integer, lookahead_days integer default 0, own_date_feeds text[] default '{}'
)
returns setof date
language sql stable
as $$
    with running as (
        select build_id, is_full_refresh from ops.build where status = 'running'
    ),
    changed as (
        select build_date.feed, build_date.business_date
        from running
        inner join ops.build_date using (build_id)
        where build_date.feed = any (feeds || own_date_feeds) and not running.is_full_refresh
        union
        select feed, business_date
        from ops.build_date
        where feed = any (feeds || own_date_feeds) and not exists (select from running where not is_full_refresh)
        union
        select feed, business_date
        from ops.delivery
        where feed = any (feeds || own_date_feeds) and status = 'published' and not exists (select from running)
    ),
    around as (
        select changed.business_date + day as business_date
        from (select distinct business_date from changed where feed = any (feeds)) as changed
        cross join generate_series(-lookback_days, lookahead_days) as day
        union
        select business_date from changed where feed = any (own_date_feeds)
    )
    select business_date
    from around
    where business_date > all (
        select max(business_date)
        from ops.delivery
        where delivery.feed = any (feeds || own_date_feeds) and delivery.expired_at is not null
        having max(business_date) is not null
    )
$$;
comment on function ops.changed_dates is
    'Dates that the running build recomputes for any of these subjects: those on which one of feeds changed, the lookback_days before them and the lookahead_days after them, and those on which one of own_date_feeds changed. All known dates in a full refresh or without a running build, and what lies that far around them. Never a date up to the newest one past retention.';
