-- Dates far away: what is due no longer reaches as far as a delivery that was dated by mistake. Since this version such
-- a one is refused before it enters the ledger; those that did before are marked here.

alter table ops.delivery add column is_misdated boolean not null default false;
comment on column ops.delivery.is_misdated is
    'Entered the ledger before dates far away were refused, with one that cannot be right: nothing is due because of it. If it was published: `parc withdraw`.';

update ops.delivery
set is_misdated = true
where business_date not between '1990-01-01' and '2099-12-31' or business_date > landed_at::date + 40;

update ops.delivery
set is_misdated = true
where status not in ('published', 'superseded') and business_date > (
    select max(business_date) + 40 from ops.delivery
    where status in ('published', 'superseded') and not is_misdated
);

update ops.delivery
set status = 'refused', reason = 'its load died, and its date cannot be right', rows_published = 0, rows_quarantined = rows_read
where is_misdated and status in ('landed', 'audited');

delete from ops.looked_for
where business_date not between '1990-01-01' and '2099-12-31' or business_date > looked_at::date + 40;
