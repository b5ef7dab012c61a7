-- Routing releases: who sent which table to the switch, why, and what became of it. Nothing here is ever
-- updated or deleted: a change of state is a new row. No raw number is stored (exceptions appear as HMAC keys).

create sequence ops.routing_fence as bigint;
comment on sequence ops.routing_fence is
    'Fencing tokens: a switch refuses to activate a release with an older token than the one it has seen.';

create table ops.routing_release (
    release_id bigint generated always as identity primary key,
    version text not null,
    kind text not null check (kind in ('bootstrap', 'release', 'adopt', 'rollback', 'emergency')),
    fence bigint not null,
    business_date date,
    effective_date date,
    plan_hash text not null,
    content_digest text not null,
    base_version text,
    base_digest text,
    row_counts jsonb not null,
    rows_changed jsonb not null,
    calls_moved_share double precision,
    calls_moved jsonb not null,
    approval_reasons jsonb not null,
    approved_by text,
    requested_by text not null check (requested_by <> ''),
    reason text not null check (reason <> ''),
    build_id bigint,
    delivery_ids jsonb not null,
    rollout_sha256 text,
    input_sha256 jsonb not null,
    code_version text not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint approved_where_needed check (approval_reasons = '[]' or approved_by <> '')
);
comment on table ops.routing_release is
    'One row per release that was begun: what, who, why, from which data; its fate is in ops.routing_release_event.';
comment on column ops.routing_release.version is 'The table''s version on the switch; a rollback names an earlier one.';
comment on column ops.routing_release.fence is 'Fencing token, increasing.';
comment on column ops.routing_release.effective_date is 'First day that the table was made for: business date + 1; a rollback has that of the table it restores.';
comment on column ops.routing_release.plan_hash is 'SHA-256 that binds the desired content to the live base; what an approval names.';
comment on column ops.routing_release.content_digest is 'SHA-256 of the content: equal digests are equal tables.';
comment on column ops.routing_release.base_version is 'Version that was live; null where the switch was empty.';
comment on column ops.routing_release.row_counts is 'Rows per table.';
comment on column ops.routing_release.rows_changed is 'Per table: rows added, removed, changed, and the share removed or changed of the live rows.';
comment on column ops.routing_release.calls_moved_share is 'Share (0-1) of recent calls offered elsewhere; null where unknown.';
comment on column ops.routing_release.calls_moved is 'Zones and markets with moved calls: calls and moved calls over the volumes used.';
comment on column ops.routing_release.approval_reasons is 'Why a person had to approve; empty where nobody had to.';
comment on column ops.routing_release.build_id is 'Build of the marts that were read.';
comment on column ops.routing_release.delivery_ids is 'Deliveries of the numbering plan and the line assignments in force.';
comment on column ops.routing_release.rollout_sha256 is 'SHA-256 of the rollout plan''s rows.';
comment on column ops.routing_release.input_sha256 is 'SHA-256 of the rows of each input.';
comment on column ops.routing_release.code_version is 'Version of the package and digest of the routing code.';

create table ops.routing_release_event (
    event_id bigint generated always as identity primary key,
    release_id bigint not null references ops.routing_release,
    event text not null check (event in ('staged', 'activated', 'rolled_back', 'failed', 'abandoned')),
    detail text not null default '',
    at timestamptz not null default clock_timestamp()
);
create unique index routing_release_event_once on ops.routing_release_event (release_id, event);
create unique index routing_release_event_end on ops.routing_release_event (release_id) where event <> 'staged';
comment on table ops.routing_release_event is
    'What became of a release: staged (on the switch, idle, verified), then one of activated (live and read back), rolled_back, failed, abandoned (its process died before the switch changed).';

create table ops.routing_change (
    release_id bigint not null references ops.routing_release,
    table_name text not null,
    change text not null check (change in ('added', 'removed', 'changed')),
    row_key jsonb not null,
    before jsonb,
    after jsonb,
    calls_moved_share double precision
);
create index routing_change_by_release on ops.routing_change (release_id, table_name);
comment on table ops.routing_change is
    'The rows that a release changed, up to 10,000 per table (ops.routing_release.rows_changed has all counts).';
comment on column ops.routing_change.row_key is 'Key columns; of an exception {"number_key": HMAC-SHA256 of the number}.';
comment on column ops.routing_change.calls_moved_share is 'Routes: share (0-1) of the calls of that zone and market which move with the release.';

create table ops.routing_hold (
    hold_id bigint generated always as identity primary key,
    event text not null check (event in ('set', 'released')),
    release_id bigint references ops.routing_release,
    set_by text not null check (set_by <> ''),
    reason text not null check (reason <> ''),
    at timestamptz not null default clock_timestamp()
);
comment on table ops.routing_hold is
    'Holds: after a rollback or an emergency no release is made until somebody releases it. The newest row counts.';

create table ops.routing_kill_switch (
    event_id bigint generated always as identity primary key,
    event text not null check (event in ('disabled', 'enabled')),
    set_by text not null check (set_by <> ''),
    reason text not null check (reason <> ''),
    at timestamptz not null default clock_timestamp()
);
comment on table ops.routing_kill_switch is
    'While disabled, nothing is sent to the switch, by nobody. The newest row counts.';

create table ops.routing_drift (
    drift_id bigint generated always as identity primary key,
    action text not null check (action in ('detected', 'adopt', 'overwrite')),
    recorded_version text,
    recorded_digest text,
    live_version text,
    live_digest text,
    detail text not null,
    accepted_by text,
    reason text,
    at timestamptz not null default clock_timestamp(),
    constraint accepted_by_somebody check (action = 'detected' or (accepted_by <> '' and reason <> ''))
);
comment on table ops.routing_drift is
    'Times the switch held something else than the last release recorded, and who accepted it: adopt (the switch is right) or overwrite (the release is).';

create function ops.refuse_rewriting() returns trigger
language plpgsql
as $$
begin
    raise exception 'ops.% is append-only: % is refused', tg_table_name, lower(tg_op)
        using errcode = 'insufficient_privilege';
end
$$;
comment on function ops.refuse_rewriting is 'Trigger of the append-only tables.';

do $$
declare
    audited text;
begin
    foreach audited in array array[
        'routing_release', 'routing_release_event', 'routing_change', 'routing_hold', 'routing_kill_switch', 'routing_drift'
    ] loop
        execute format(
            'create trigger append_only before update or delete or truncate on ops.%I '
            'for each statement execute function ops.refuse_rewriting()', audited
        );
        execute format('grant select, insert on ops.%I to parc_exporter', audited);
    end loop;
end
$$;

grant usage on sequence ops.routing_fence to parc_exporter;
