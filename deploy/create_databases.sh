#!/bin/sh
# Runs once, when the container's data folder is created: creates the logins and their databases. psql reads each password
# from its file, so that none appears in a process's arguments; statements with a password are not logged.
set -eu
secrets=${SECRETS:-/run/secrets}
for name in parc airflow switch kamailio; do
    case "$(cat "$secrets/${name}_password")" in
        "" | *[!A-Za-z0-9_.~-]*)
            echo "${name}_password is used in URLs: only letters, digits and _ . ~ - are allowed; create it with deploy/write_secrets.sh" >&2
            exit 1 ;;
    esac
done
as_superuser() { psql -v ON_ERROR_STOP=1 -v name="$1" -v file="$secrets/$1_password" -v rights="${2:-}" -U postgres; }
for name in parc airflow switch; do
    case "$name" in
        parc) rights="CREATEROLE CREATEDB" ;;
        *) rights="" ;;
    esac
    as_superuser $name "$rights" <<'SQL'
set log_statement = 'none';
set log_min_error_statement = 'panic';
\set password `cat :'file'`
create role :name login :rights password :'password';
create database :name owner :name;
revoke all on database :name from public;
SQL
done
# The telephone switch only reads.
as_superuser kamailio <<'SQL'
set log_statement = 'none';
set log_min_error_statement = 'panic';
\set password `cat :'file'`
create role kamailio login password :'password';
grant connect on database switch to kamailio;
alter role kamailio in database switch set search_path = switch;
revoke all on database postgres, template1 from public;
SQL
psql -v ON_ERROR_STOP=1 -U postgres -d parc -f /parc/superuser.sql
