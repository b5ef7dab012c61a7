-- A delivery that was looked for and not found leaves no row in the ledger: the gap detector knows it from here.

create table ops.looked_for (
    feed text not null,
    business_date date not null,
    looked_at timestamptz not null default clock_timestamp(),
    primary key (feed, business_date)
);
comment on table ops.looked_for is 'Deliveries that a load did not find in the landing zone, whether or not they came later.';
comment on column ops.looked_for.looked_at is 'When it was looked for in vain, the last time (UTC instant).';

grant select, insert, update on ops.looked_for to parc_loader;
grant select on ops.looked_for to parc_transformer;
