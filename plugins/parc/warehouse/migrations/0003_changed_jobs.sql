-- What a build recomputes: dates of any subject, and the jobs of the field units one by one.

comment on column ops.build_date.feed is
    'What changed on the date: a fact feed (`calls`, `boutique_visits`, `interventions`), `active_lines` (lines of a date of calls), or `intervention_events` (a changed job was requested, closed or promised on the date).';

-- A plain union of the dates: what has no data on a date recomputes nothing there.
create or replace function ops.changed_dates(feeds text[], lookback_days integer) returns setof date
language sql stable
as $$
    with running as (
        select build_id, is_full_refresh from ops.build where status = 'running'
    )
    select distinct changed.business_date - days_before
    from running
    inner join ops.build_date as changed using (build_id)
    cross join generate_series(0, lookback_days) as days_before
    where changed.feed = any (feeds) and not running.is_full_refresh
    union
    select known.business_date
    from (
        select feed, business_date from ops.build_date
        union all
        select feed, business_date from ops.delivery where status = 'published'
    ) as known
    where known.feed = any (feeds) and not exists (select from running where not is_full_refresh)
$$;
comment on function ops.changed_dates is
    'Dates that the running build recomputes for any of these subjects: those on which one changed, and the lookback_days before them. All known dates in a full refresh or without a running build.';

create table ops.build_job (
    build_id bigint not null references ops.build,
    job_id text not null,
    primary key (build_id, job_id)
);
comment on table ops.build_job is
    'The jobs of the field units that a build recomputes; kept until a build is published.';

create function ops.changed_jobs() returns setof text
language sql stable
as $$
    select distinct job_id
    from ops.build_job
    where build_id > (select coalesce(max(build_id), 0) from ops.build where status = 'published')
$$;
comment on function ops.changed_jobs is
    'Jobs recomputed since the last published build: by the running one, and by failed ones that BI has not seen.';

grant select, insert, delete on ops.build_job to parc_transformer;

-- With the content, a changed seed tells which dates it changed; without it (null), all of them.
alter table ops.seed_version add column content text;
comment on column ops.seed_version.content is 'The seed''s CSV text.';
