-- What only a superuser may take away: from the warehouse's readers, and from the server's log. Run it in the warehouse's
-- database: the embedded server and docker-compose.yml do; of another server `parc doctor` prints it. Harmless again.
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
        -- A statement that fails tells its caller why: in the log it would leave the row that it was about.
        union all
        select format('alter database %I set %s', current_database(), setting)
        from unnest(array['log_min_messages = log', 'log_min_error_statement = panic']) as setting
    loop
        execute command;
    end loop;
end
$$;
