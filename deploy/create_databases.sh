#!/bin/sh
# Runs once, when the container's data folder is made: the two logins and their databases.
set -eu
for name in parc airflow; do
    case "$name" in
        parc) password=$PARC_PASSWORD rights="CREATEROLE CREATEDB" ;;
        airflow) password=$AIRFLOW_PASSWORD rights="" ;;
    esac
    psql -v ON_ERROR_STOP=1 -v password="$password" -U postgres <<SQL
create role $name login $rights password :'password';
create database $name owner $name;
revoke connect on database $name from public;
SQL
done
