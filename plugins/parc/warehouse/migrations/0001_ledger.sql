-- Schemas, who may do what in them, and the ledger: deliveries, quarantine, builds.

create schema raw authorization parc_loader;
create schema routing authorization parc_loader;
create schema reference authorization parc_transformer;
create schema staging authorization parc_transformer;
create schema intermediate authorization parc_transformer;
create schema build authorization parc_transformer;
create schema marts authorization parc_transformer;

comment on schema raw is 'Published deliveries as they came, typed and pseudonymised, one partition per business date.';
comment on schema routing is 'Raw numbers of the routing exceptions: for the routing export alone.';
comment on schema reference is 'Governed reference data: the seeds of the dbt project.';
comment on schema staging is 'One view per feed: the feed''s rows under the platform''s names.';
comment on schema intermediate is 'Steps between staging and marts; no contract.';
comment on schema build is 'Marts as dbt builds and tests them, before anyone else sees them.';
comment on schema marts is 'What BI reads: the marts of the last build whose tests all passed.';
comment on schema ops is 'The ledger: deliveries, quarantine, builds, routing releases.';

grant usage on schema raw to parc_transformer, parc_reader;
grant usage on schema routing to parc_exporter;
grant usage on schema reference, staging, intermediate, build to parc_reader;
grant usage on schema marts to parc_exporter, parc_reader, bi_reader;
grant usage on schema ops to parc_loader, parc_transformer, parc_exporter, parc_reader;

alter default privileges for role parc_loader in schema raw
    grant select on tables to parc_transformer, parc_reader;
alter default privileges for role parc_loader in schema routing
    grant select on tables to parc_exporter;
alter default privileges for role parc_transformer in schema reference, staging, intermediate, build
    grant select on tables to parc_reader;
alter default privileges for role parc_transformer in schema marts
    grant select on tables to parc_exporter, parc_reader, bi_reader;
alter default privileges in schema ops grant select on tables to parc_reader;

create table ops.delivery (
    delivery_id bigint generated always as identity primary key,
    feed text not null,
    business_date date not null,
    status text not null check (status in ('landed', 'audited', 'published', 'superseded', 'refused')),
    files jsonb not null,
    content_sha256 text not null,
    rows_read bigint not null default 0,
    rows_published bigint not null default 0,
    rows_quarantined bigint not null default 0,
    rows_rejected bigint not null default 0,
    reason text,
    warnings jsonb not null default '[]',
    changes jsonb,
    supersedes_delivery_id bigint references ops.delivery,
    landed_at timestamptz not null default clock_timestamp(),
    audited_at timestamptz,
    published_at timestamptz,
    built_in bigint,
    constraint every_row_is_accounted_for check (rows_read = rows_published + rows_quarantined)
);
create unique index delivery_current on ops.delivery (feed, business_date) where status = 'published';
create index delivery_by_date on ops.delivery (feed, business_date);
create index delivery_unbuilt on ops.delivery (delivery_id) where built_in is null and status = 'published';

comment on table ops.delivery is 'One row per delivery that was read: what came, what became of it, and why.';
comment on column ops.delivery.status is
    'landed: being read; audited: loaded aside and checked; published: the current version of its day; superseded: replaced by a later delivery of the day; refused: held back as a whole.';
comment on column ops.delivery.files is 'Files of the delivery: [{name, uri, bytes, sha256}].';
comment on column ops.delivery.content_sha256 is 'Digest over the files'' digests: the same bytes again are a no-op.';
comment on column ops.delivery.rows_quarantined is
    'Rows read and not published; for a refused delivery all of them.';
comment on column ops.delivery.rows_rejected is 'Rows that broke a rule, each listed in ops.quarantine (a sample where the delivery is refused).';
comment on column ops.delivery.changes is 'Of a restatement: {rows_added, rows_removed, rows_altered} against the delivery it supersedes.';
comment on column ops.delivery.built_in is 'The first published build that contains it; null = not yet in the marts.';

create table ops.quarantine (
    delivery_id bigint not null references ops.delivery,
    file_name text not null,
    line_number bigint not null,
    column_name text,
    reason text not null,
    row_text text
);
create index quarantine_by_delivery on ops.quarantine (delivery_id);
comment on table ops.quarantine is 'Rows that broke a rule: where they stand, which rule, and their text with personal columns masked.';

create table ops.build (
    build_id bigint generated always as identity primary key,
    status text not null check (status in ('running', 'published', 'failed', 'abandoned')),
    is_full_refresh boolean not null,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    reason text
);
create unique index build_running on ops.build (status) where status = 'running';
comment on table ops.build is 'One row per run of the marts; BI sees the newest one that is published.';

create table ops.build_date (
    build_id bigint not null references ops.build,
    feed text not null,
    business_date date not null,
    primary key (build_id, feed, business_date)
);
comment on table ops.build_date is 'The business dates of a feed whose facts a build recomputes.';

create table ops.build_delivery (
    build_id bigint not null references ops.build,
    delivery_id bigint not null references ops.delivery,
    primary key (build_id, delivery_id)
);
comment on table ops.build_delivery is 'The current deliveries that a build saw for the first time.';

create function ops.changed_dates(feeds text[], lookback_days integer) returns setof date
language sql stable
as $$
    with running as (
        select build_id, is_full_refresh from ops.build where status = 'running'
    )
    select distinct delivery.business_date
    from ops.delivery
    where delivery.feed = feeds[1] and delivery.status = 'published'
        and (
            not exists (select from running where not is_full_refresh)
            or exists (
                select from running
                inner join ops.build_date as changed using (build_id)
                where changed.feed = any (feeds)
                    and delivery.business_date between changed.business_date - lookback_days and changed.business_date
            )
        )
$$;
comment on function ops.changed_dates is
    'Published dates of the first feed that the running build recomputes: those where any of the feeds changed, and the lookback_days before them. All of them in a full refresh or without a running build.';

create table ops.seed_version (
    seed text primary key,
    sha256 text not null,
    build_id bigint not null references ops.build
);
comment on table ops.seed_version is 'The content of each seed in the published marts: another digest means the dates it governs are rebuilt.';

grant select on ops.schema_version to parc_loader, parc_transformer, parc_exporter, parc_reader;
grant select, insert, update on ops.delivery to parc_loader;
grant select, insert, delete on ops.quarantine to parc_loader;
grant select on ops.delivery to parc_transformer, parc_exporter;
grant update (built_in) on ops.delivery to parc_transformer;
grant select, insert, update, delete on ops.build, ops.seed_version to parc_transformer;
grant select, insert, delete on ops.build_date, ops.build_delivery to parc_transformer;
grant select on ops.build, ops.build_date, ops.build_delivery to parc_loader, parc_exporter;

create table marts.published_build (
    build_id bigint not null references ops.build,
    published_at timestamptz not null
);
alter table marts.published_build owner to parc_transformer;
grant select on marts.published_build to parc_exporter, parc_reader, bi_reader;
comment on table marts.published_build is 'One row: the build that all marts come from.';
comment on column marts.published_build.build_id is 'Build of the ledger (ops.build).';
comment on column marts.published_build.published_at is 'Instant (UTC) at which this build became visible, all marts together.';
