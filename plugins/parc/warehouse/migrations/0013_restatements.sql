-- What a restated delivery did to the figures; dates that some subjects change without those around them.

drop function ops.changed_dates(text[], integer, integer);

create function ops.changed_dates(
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
    where not exists (
        select from ops.delivery
        where delivery.feed = any (feeds || own_date_feeds) and delivery.business_date = around.business_date
            and delivery.expired_at is not null
    )
$$;
comment on function ops.changed_dates is
    'Dates that the running build recomputes for any of these subjects: those on which one of feeds changed, the lookback_days before them and the lookahead_days after them, and those on which one of own_date_feeds changed. All known dates in a full refresh or without a running build, and what lies that far around them. Never a date past retention.';

create table marts.mart_restatements (
    build_id bigint not null references ops.build,
    mart text not null,
    business_date date not null,
    directorate_code text not null,
    region_code text not null,
    figure text not null,
    value_before numeric,
    value_after numeric,
    delivery_ids bigint[] not null,
    primary key (build_id, mart, business_date, directorate_code, region_code, figure)
);
alter table marts.mart_restatements owner to parc_transformer;
grant select on marts.mart_restatements to parc_exporter, parc_reader, bi_reader;
comment on table marts.mart_restatements is
    'What restated deliveries changed in figures that were published before. One row per build, mart, business date, directorate, region and figure that came to differ. A history: a full refresh adds nothing to it and takes nothing away.';
comment on column marts.mart_restatements.build_id is 'Build that made the change visible (ops.build).';
comment on column marts.mart_restatements.mart is 'Mart in which the figure stands.';
comment on column marts.mart_restatements.business_date is 'Business date of the figure.';
comment on column marts.mart_restatements.directorate_code is 'Regional directorate of the figure; `unknown` where it is not known.';
comment on column marts.mart_restatements.region_code is 'Region of 2012 of the figure; `unknown` where it is not known.';
comment on column marts.mart_restatements.figure is 'Column of the mart, in its unit; summed over markets or kinds.';
comment on column marts.mart_restatements.value_before is 'Sum that was published before; null if there was none.';
comment on column marts.mart_restatements.value_after is 'Sum as published by the build; null if there is none any more. Delta = value_after - value_before.';
comment on column marts.mart_restatements.delivery_ids is
    'Restated deliveries of the build that reach the date (marts.mart_feed_health tells of each). A figure that was provisional may differ by what else came with them.';
