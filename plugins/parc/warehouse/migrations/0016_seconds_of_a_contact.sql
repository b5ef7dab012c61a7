-- Seconds of a contact's legs add up to more than an integer holds: each leg lasts up to a day, and there may be 32,767.

alter table if exists intermediate.int_call_roots
    alter column talk_seconds type bigint,
    alter column hold_seconds type bigint,
    alter column wrap_up_seconds type bigint;

alter table if exists build.fct_calls
    alter column talk_seconds type bigint,
    alter column hold_seconds type bigint,
    alter column wrap_up_seconds type bigint,
    alter column handle_seconds type bigint;

alter table if exists marts.fct_calls
    alter column talk_seconds type bigint,
    alter column hold_seconds type bigint,
    alter column wrap_up_seconds type bigint,
    alter column handle_seconds type bigint;
