-- A delivery that was a mistake can be taken back: `parc withdraw`.

alter table ops.delivery drop constraint delivery_status_check;
alter table ops.delivery add constraint delivery_status_check
    check (status in ('landed', 'audited', 'published', 'superseded', 'refused', 'withdrawn'));
alter table ops.delivery add column withdrawn_at timestamptz;
alter table ops.delivery add column withdrawn_in bigint;

comment on column ops.delivery.status is
    'landed: being read; audited: loaded aside and checked; published: the current version of its day; superseded: replaced by a later delivery of the day; refused: held back as a whole; withdrawn: taken back by a person, as if it had never come.';
comment on column ops.delivery.reason is 'Why it was refused or withdrawn; null otherwise.';
comment on column ops.delivery.withdrawn_at is 'When a person took it back (UTC instant).';
comment on column ops.delivery.withdrawn_in is
    'Of a delivery that was published and withdrawn: the first published build without it; null = the marts may still hold it.';

grant update (withdrawn_in) on ops.delivery to parc_transformer;
