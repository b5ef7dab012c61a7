-- Sites taken out of the switch's choice for a while.

create table ops.routing_drain (
    drain_id bigint generated always as identity primary key,
    event text not null check (event in ('set', 'ended')),
    site_code text not null check (site_code <> ''),
    drained_until timestamptz,
    set_by text not null check (set_by <> ''),
    reason text not null check (reason <> ''),
    at timestamptz not null default clock_timestamp(),
    constraint until_when check ((event = 'set') = (drained_until is not null))
);
comment on table ops.routing_drain is
    'Drains: until then the switch gives the site no new call. The newest row of a site counts.';
comment on column ops.routing_drain.drained_until is 'When the switch uses the site again by itself (UTC instant).';
create trigger append_only before update or delete or truncate on ops.routing_drain
    for each statement execute function ops.refuse_rewriting();
grant select, insert on ops.routing_drain to parc_exporter;

-- Single numbers that somebody sent to a zone by hand, ahead of the reference feeds.

create table routing.urgent_assignment (
    assignment_id bigint generated always as identity primary key,
    number text not null check (number ~ '^\+[1-9][0-9]{6,14}$'),
    zone_code text check (zone_code <> ''),
    set_by text not null check (set_by <> ''),
    reason text not null check (reason <> ''),
    at timestamptz not null default clock_timestamp()
);
comment on table routing.urgent_assignment is
    'Numbers (E.164) assigned to a zone by hand; they go before the line assignments. The newest row of a number counts.';
comment on column routing.urgent_assignment.zone_code is 'Null: the line assignments and prefixes decide again.';
create trigger append_only before update or delete or truncate on routing.urgent_assignment
    for each statement execute function ops.refuse_rewriting();

create view routing.urgent_zone as
select newest.number, newest.zone_code
from (
    select distinct on (number) number, zone_code
    from routing.urgent_assignment
    order by number, assignment_id desc
) as newest
where newest.zone_code is not null;
comment on view routing.urgent_zone is 'The urgent assignments in force.';

grant select, insert on routing.urgent_assignment to parc_exporter;
grant select on routing.urgent_zone to parc_exporter;
