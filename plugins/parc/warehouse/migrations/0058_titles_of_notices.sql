-- The title and the body of a notice, as they are sent; its text is both.

alter table ops.notice
add column title text,
add column body text;

-- Notices from before: their text, taken apart for the last time.
update ops.notice
set
    title = split_part(text, chr(10), 1),
    body = substr(text, length(split_part(text, chr(10), 1)) + 3);

alter table ops.notice
alter column title set not null,
alter column body set not null,
drop column text;

alter table ops.notice
add column text text generated always as (title || chr(10) || chr(10) || body) stored;

comment on column ops.notice.title is 'One line: what failed.';
comment on column ops.notice.body is 'What is said below it: why, the impact and what to do.';
comment on column ops.notice.text is 'The whole notice: its title, and its body below it.';
