#!/bin/sh
# Prints the secrets that docker-compose.yml asks for, made at random: deploy/write_env.sh > .env
set -eu
umask 077
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
for name in POSTGRES_PASSWORD PARC_PASSWORD AIRFLOW_PASSWORD SWITCH_PASSWORD KAMAILIO_PASSWORD PARC_BI_READER_PASSWORD \
    PARC_AIRFLOW_ADMIN_PASSWORD PARC_PSEUDONYM_SECRET PARC_SWITCH_SECRET AIRFLOW_SECRET_KEY AIRFLOW_JWT_SECRET; do
    echo "$name=$(random)"
done
echo "AIRFLOW_FERNET_KEY=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
echo "# Who takes a call that no table can route, as sip:user@host:port:"
echo "PARC_SWITCH_LAST_RESORT=${PARC_SWITCH_LAST_RESORT:-sip:last-resort@127.0.0.1:5160}"
