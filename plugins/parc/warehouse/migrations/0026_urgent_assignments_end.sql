-- Numbers that were assigned by hand go with time: maintenance may delete rows that decide nothing any more.

drop trigger append_only on routing.urgent_assignment;
create trigger append_only before update or truncate on routing.urgent_assignment
    for each statement execute function ops.refuse_rewriting();

create function routing.refuse_ending() returns trigger
language plpgsql
as $$
begin
    if exists (
        select from (
            select distinct on (number) number, assignment_id, zone_code
            from gone
            order by number, assignment_id desc
        ) as newest
        where not exists (
            select from routing.urgent_assignment as later
            where later.number = newest.number and later.assignment_id > newest.assignment_id
        ) and (newest.zone_code is not null or exists (
            select from routing.urgent_assignment as earlier where earlier.number = newest.number
        ))
    ) then
        raise exception 'routing.urgent_assignment: the newest row of a number decides where it goes, its delete is refused'
            using errcode = 'insufficient_privilege', hint = 'parc routing unassign ends an assignment';
    end if;
    return null;
end
$$;
comment on function routing.refuse_ending is
    'Trigger: no delete changes where a number goes. The newest row of a number goes with all the others, and only where it ends the assignment.';
create trigger ended_alone after delete on routing.urgent_assignment
    referencing old table as gone for each statement execute function routing.refuse_ending();

comment on table routing.urgent_assignment is
    'Numbers (E.164) assigned to a zone by hand; they go before the line assignments. The newest row of a number counts; rows that count no more are deleted after a year.';

grant usage on schema routing to parc_maintenance;
grant select, delete on routing.urgent_assignment to parc_maintenance;
