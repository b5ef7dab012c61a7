-- Dates past retention: their raw rows are gone, their rows in the marts stay and are never recomputed.

alter table ops.delivery add column expired_at timestamptz;
comment on column ops.delivery.expired_at is
    'When retention dropped its raw rows (UTC instant); what the marts hold of its date stays as it is. Null = they are there.';
create index delivery_expired on ops.delivery (feed, business_date) where expired_at is not null;

-- The dates of a running full refresh are those that it found: what lands meanwhile is the next build's.
create or replace function ops.changed_dates(feeds text[], lookback_days integer, lookahead_days integer default 0)
returns setof date
language sql stable
as $$
    with running as (
        select build_id, is_full_refresh from ops.build where status = 'running'
    ),
    changed as (
        select build_date.business_date
        from running
        inner join ops.build_date using (build_id)
        where build_date.feed = any (feeds) and not running.is_full_refresh
        union
        select business_date
        from ops.build_date
        where feed = any (feeds) and not exists (select from running where not is_full_refresh)
        union
        select business_date
        from ops.delivery
        where feed = any (feeds) and status = 'published' and not exists (select from running)
    ),
    around as (
        select distinct changed.business_date + day as business_date
        from changed
        cross join generate_series(-lookback_days, lookahead_days) as day
    )
    select business_date
    from around
    where not exists (
        select from ops.delivery
        where delivery.feed = any (feeds) and delivery.business_date = around.business_date
            and delivery.expired_at is not null
    )
$$;
comment on function ops.changed_dates is
    'Dates that the running build recomputes for any of these subjects: those on which one changed, the lookback_days before them and the lookahead_days after them. All known dates in a full refresh or without a running build, and what lies that far around them. Never a date past retention.';
