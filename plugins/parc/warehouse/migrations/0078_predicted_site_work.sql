-- What each release was to bring to the sites: the pages set it beside what came.

create table ops.routing_site_work (
    release_id bigint not null references ops.routing_release,
    site_code text not null,
    weekdays smallint[] not null,
    half_hours_local time[] not null,
    call_counts real[] not null,
    handle_seconds real[] not null,
    primary key (release_id, site_code),
    check (cardinality(weekdays) = all (
        array[cardinality(half_hours_local), cardinality(call_counts), cardinality(handle_seconds)]
    ))
);
comment on table ops.routing_site_work is
    'One row per release and site that has calls: what a usual week would bring it by the table of the release. The arrays have one entry per half-hour with calls.';
comment on column ops.routing_site_work.weekdays is 'ISO weekday of each half-hour, on the site''s own clock.';
comment on column ops.routing_site_work.half_hours_local is 'Start of each half-hour, on the site''s own clock.';
comment on column ops.routing_site_work.call_counts is 'Calls that the table offers to the site first.';
comment on column ops.routing_site_work.handle_seconds is 'Seconds of work that these calls bring.';

grant select, insert on ops.routing_site_work to parc_exporter;

-- What a plan would change, so that a page can show it without planning again.
alter table ops.routing_plan add column content jsonb;
comment on column ops.routing_plan.content is
    'The plan as JSON (`parc routing plan --json`), at most 200 changed rows of each table; of the exceptions only how many move between zones, no number. Null before it was kept.';
