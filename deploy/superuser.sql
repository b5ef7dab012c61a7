-- Restricts the warehouse's readers and the server's log in ways that only a superuser can. Run it in the warehouse's
-- database. The embedded server and docker-compose.yml do so; for another server `parc doctor` prints it. Safe to repeat.
do $$
declare
    command text;
    owner name := (select datdba::regrole::name from pg_database where datname = current_database());
begin
    for command in
        select format('revoke execute on function %s from public', oid::regprocedure)
        from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace
            and proname ~ '^(pg_(try_)?advisory_|lo_|lo(read|write)$|pg_logical_emit_message$)'
        union all
        select 'revoke usage on language plpgsql from public'
        union all
        select format('grant usage on language plpgsql to %I', owner)
        union all
        select format('grant set on parameter temp_file_limit to %I', owner)
        -- A failing statement reports its error to the caller; in the log it would also leave the row concerned.
        union all
        select format('alter database %I set %s', current_database(), setting)
        from unnest(array['log_min_messages = log', 'log_min_error_statement = panic']) as setting
    loop
        execute command;
    end loop;
end
$$;
