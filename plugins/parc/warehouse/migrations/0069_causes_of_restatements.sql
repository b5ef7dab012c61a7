-- Every published figure that moved, with its cause.

alter table marts.mart_restatements
    add column cause text not null default 'delivery' check (cause in ('delivery', 'seed', 'definition'));
alter table marts.mart_restatements alter column cause drop default;

comment on table marts.mart_restatements is
    'Published figures that a build moved, and why. One row per build, mart, business date, directorate, region and figure that came to differ; not where a figure was provisional and what it waited for arrived. A history: nothing is taken away from it.';
comment on column marts.mart_restatements.directorate_code is 'Regional directorate of the figure; `unknown` where it is not known, `all` in marts that do not tell it.';
comment on column marts.mart_restatements.region_code is 'Region of 2012 of the figure; `unknown` where it is not known, `all` in marts that do not tell it.';
comment on column marts.mart_restatements.figure is 'Column of the mart, in its unit; summed over what else its rows are split by.';
comment on column marts.mart_restatements.cause is
    'delivery: a restated, withdrawn or late one, of the figure''s feed or of a reference feed that governs its date; seed: a changed seed that governs its date; definition: a full refresh, or another version of the marts. The first of them that reaches the date.';
comment on column marts.mart_restatements.delivery_ids is
    'Deliveries of the build that reach the date (marts.mart_feed_health tells of each); empty for other causes. A figure that was provisional may differ by what else came with them.';
