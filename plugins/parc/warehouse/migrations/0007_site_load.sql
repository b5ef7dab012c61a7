-- Figures of one date may spill into the next (work on a call goes on past midnight): a changed date then changes the
-- dates after it as well.
drop function ops.changed_dates(text[], integer);

create function ops.changed_dates(feeds text[], lookback_days integer, lookahead_days integer default 0)
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
        select known.business_date
        from (
            select feed, business_date from ops.build_date
            union all
            select feed, business_date from ops.delivery where status = 'published'
        ) as known
        where known.feed = any (feeds) and not exists (select from running where not is_full_refresh)
    )
    select distinct changed.business_date + day
    from changed
    cross join generate_series(-lookback_days, lookahead_days) as day
$$;
comment on function ops.changed_dates is
    'Dates that the running build recomputes for any of these subjects: those on which one changed, the lookback_days before them and the lookahead_days after them. All known dates in a full refresh or without a running build, and what lies that far around them.';

comment on column ops.build_date.feed is
    'What changed on the date: a fact feed (`calls`, `boutique_visits`, `interventions`), `active_lines` (lines of a date of calls), `intervention_events` (a changed job was requested, closed or promised on the date), or `site_positions` (positions of a date of calls).';
