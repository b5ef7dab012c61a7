-- Keys of callers, customers, lines and agents become uuids: the first 128 bits of the HMAC that was kept as 64 hex
-- digits, in a quarter of the room. Every table is written anew once, dbt's included, so that days past retention stay;
-- views on these columns, BI's own too, are made again as they were.
do $$
declare
    changed record;
    viewed record;
    command text;
begin
    create temp table key_column on commit drop as
    select attrelid, attnum, attname
    from pg_attribute
    inner join pg_class on pg_class.oid = attrelid
    where relkind in ('r', 'p') and not relispartition and atttypid = 'text'::regtype and not attisdropped
        and relnamespace::regnamespace::text in ('raw', 'routing', 'intermediate', 'build', 'marts')
        and attname in ('caller_key', 'customer_key', 'line_key', 'agent_key');

    create temp table key_view on commit drop as
    with recursive reader (oid, depth) as (
        select ev_class, 1
        from key_column
        inner join pg_depend on refclassid = 'pg_class'::regclass and refobjid = attrelid and refobjsubid = attnum
        inner join pg_rewrite on classid = 'pg_rewrite'::regclass and objid = pg_rewrite.oid
        union
        select ev_class, depth + 1
        from reader
        inner join pg_depend on refclassid = 'pg_class'::regclass and refobjid = reader.oid
        inner join pg_rewrite on classid = 'pg_rewrite'::regclass and objid = pg_rewrite.oid and ev_class <> reader.oid
    )
    select
        pg_class.oid::regclass::text as name,
        max(depth) as depth,
        relowner::regrole::text as owner,
        array_to_string(reloptions, ', ') as options,
        pg_get_viewdef(pg_class.oid) as definition,
        (
            select array_agg(format('grant %s on %s to %s', privilege_type, pg_class.oid::regclass,
                case when grantee = 0 then 'public' else grantee::regrole::text end))
            from aclexplode(relacl) where grantee <> relowner
        ) as grants,
        (
            select array_agg(format('comment on %s is %L',
                case objsubid when 0 then format('view %s', pg_class.oid::regclass)
                    else format('column %s.%I', pg_class.oid::regclass, attname) end, description))
            from pg_description
            left join pg_attribute on attrelid = objoid and attnum = objsubid
            where classoid = 'pg_class'::regclass and objoid = pg_class.oid
        ) as comments
    from reader
    inner join pg_class using (oid)
    group by pg_class.oid;

    for viewed in select string_agg(name, ', ') as names from key_view having count(*) > 0 loop
        execute format('drop view %s', viewed.names);
    end loop;

    set local default_statistics_target = 25;
    for changed in
        select
            attrelid::regclass as name,
            string_agg(format('alter column %1$I type uuid using left(%1$I, 32)::uuid', attname), ', ') as columns
        from key_column
        group by attrelid
    loop
        execute format('alter table %s %s', changed.name, changed.columns);
        execute format('analyze %s', changed.name);
    end loop;

    for viewed in select * from key_view order by depth, name loop
        execute format(
            'create view %s %s as %s', viewed.name, 'with (' || nullif(viewed.options, '') || ')', viewed.definition
        );
        execute format('alter view %s owner to %s', viewed.name, viewed.owner);
        foreach command in array coalesce(viewed.comments, '{}') || coalesce(viewed.grants, '{}') loop
            execute command;
        end loop;
    end loop;
end
$$;

comment on column ops.routing_change.row_key is
    'Key columns; of an exception {"number_key": the number''s caller_key} (in older rows all 64 hex digits of the HMAC that it begins).';
