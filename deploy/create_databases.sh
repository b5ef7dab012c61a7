#!/bin/sh
# Runs once, when the container's data folder is made: the logins and their databases.
set -eu
for password in "$PARC_PASSWORD" "$AIRFLOW_PASSWORD" "$SWITCH_PASSWORD" "$KAMAILIO_PASSWORD"; do
    case "$password" in
        "" | *[!A-Za-z0-9_.~-]*)
            echo "a password goes into addresses as it is: letters, digits and _ . ~ - alone; deploy/write_env.sh makes such ones" >&2
            exit 1 ;;
    esac
done
for name in parc airflow switch; do
    case "$name" in
        parc) password=$PARC_PASSWORD rights="CREATEROLE CREATEDB" ;;
        airflow) password=$AIRFLOW_PASSWORD rights="" ;;
        switch) password=$SWITCH_PASSWORD rights="" ;;
    esac
    psql -v ON_ERROR_STOP=1 -v password="$password" -U postgres <<SQL
create role $name login $rights password :'password';
create database $name owner $name;
revoke all on database $name from public;
SQL
done
# The telephone switch itself only reads.
psql -v ON_ERROR_STOP=1 -v password="$KAMAILIO_PASSWORD" -U postgres <<SQL
create role kamailio login password :'password';
grant connect on database switch to kamailio;
alter role kamailio in database switch set search_path = switch;
revoke all on database postgres, template1 from public;
SQL
psql -v ON_ERROR_STOP=1 -U postgres -d parc -f /parc/superuser.sql
