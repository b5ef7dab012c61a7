-- What its suite measured of a delivery: like days to come are held against it.
alter table ops.delivery add column measures jsonb not null default '{}';
comment on column ops.delivery.measures is
'What its suite (expectations/landing) measured when it was loaded; empty where it was loaded without.';
