-- Logins of their own for the rooms (made before this runs), and locks that no reader can take.

create table ops.lock (
    name text primary key,
    pid integer,
    session_started_at timestamptz,
    constraint one_session check ((pid is null) = (session_started_at is null))
);
comment on table ops.lock is
    'The platform''s locks. A session holds one by its name here and as long as it lives, a transaction by the locked row.';
comment on column ops.lock.name is 'What is locked; `load FEED DATE` by a load.';
comment on column ops.lock.pid is 'Server process of the session that holds it, or held it last; null = nobody.';
comment on column ops.lock.session_started_at is 'When that session began (UTC instant): process numbers are used again.';
insert into ops.lock (name) values ('build'), ('night'), ('ranges'), ('raw tables'), ('reading'), ('routing');

create function ops.is_session(pid integer, started_at timestamptz) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Else the sessions are those that the transaction saw first.
    perform pg_stat_clear_snapshot();
    return exists (
        select from pg_stat_activity as session
        where session.pid = is_session.pid and session.backend_start = is_session.started_at
            and session.datname = current_database()
    );
end
$$;
comment on function ops.is_session is
    'Whether this session of the database lives. As its owner, who sees the sessions of all rooms.';
revoke execute on function ops.is_session from public;
grant execute on function ops.is_session
    to parc_loader, parc_transformer, parc_exporter, parc_reader, parc_maintenance;
grant select, insert, update on ops.lock to parc_loader, parc_transformer, parc_exporter, parc_maintenance;

-- Maintenance reads what readers read, and deletes history.
grant delete on ops.build_node, ops.build_delivery, ops.build_date, ops.looked_for, ops.airflow_run, ops.notice
    to parc_maintenance;
