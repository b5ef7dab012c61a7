-- To whom a weekly page was sent, so that nobody has it twice.

create table ops.weekly_mail (
    directorate_code text not null,
    week_start_date date not null,
    address_digest text not null,
    build_id bigint not null,
    sent_at timestamptz not null default clock_timestamp(),
    primary key (directorate_code, week_start_date, address_digest)
);
comment on table ops.weekly_mail is
    'One row per directorate, week and address to which the weekly page was sent.';
comment on column ops.weekly_mail.directorate_code is 'Directorate whose page it was.';
comment on column ops.weekly_mail.week_start_date is 'Monday of the week.';
comment on column ops.weekly_mail.address_digest is
    'SHA-256 of the address in small letters, in hexadecimal: the ledger names no address.';
comment on column ops.weekly_mail.build_id is 'Build whose figures the page showed, the last time it was sent.';
comment on column ops.weekly_mail.sent_at is 'When it was sent, the last time (UTC instant).';

grant select, insert, update on ops.weekly_mail to parc_loader;
