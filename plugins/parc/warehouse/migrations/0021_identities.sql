-- A contact's own identity is kept where nothing else tells who it is.
alter table if exists raw.calls alter column row_identity drop not null;
alter table if exists raw.boutique_visits alter column row_identity drop not null;
alter table if exists raw.interventions alter column row_identity drop not null;
