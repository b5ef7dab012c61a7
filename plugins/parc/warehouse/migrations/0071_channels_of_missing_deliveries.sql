-- Figures across channels of a date without their own delivery are null, no longer 0.

do $$
declare
    figure text;
begin
    for figure in
        select attname
        from pg_attribute
        where attrelid = to_regclass('marts.mart_cross_channel_daily')
            and attnum > 0 and not attisdropped and attnotnull
            and attname like '%\_count' and attname not like '%\_person\_count'
    loop
        execute format('alter table marts.mart_cross_channel_daily alter column %I drop not null', figure);
    end loop;
end
$$;
