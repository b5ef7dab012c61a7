#!/bin/sh
# Creates the secrets that docker-compose.yml mounts, one file each, unless they exist: deploy/write_secrets.sh
# A secret set in the environment is taken from there. To keep those of an existing .env:
#   (set -a; . ./.env; deploy/write_secrets.sh)
set -eu
umask 077
folder=${PARC_SECRETS:-secrets}
mkdir -p "$folder"
chmod 700 "$folder"  # other users of this host cannot enter; each container only gets the files it needs, readable by any user
cd "$folder"

keep() {  # NAME VALUE: writes the file of that name, unless it exists
    [ -e "$1" ] && return
    printf %s "$2" > ".$1.draft"
    chmod 444 ".$1.draft"
    mv ".$1.draft" "$1"
}
given() {  # NAME: its value in the environment, as PARC_<NAME> or <NAME>
    upper=$(echo "$1" | tr a-z A-Z)
    eval "printf %s \"\${PARC_$upper:-\${$upper:-}}\""
}
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
word() {  # NAME: a secret of letters and digits, which can be used in a URL
    value=$(given "$1")
    value=${value:-$(random)}
    case "$value" in
        *[!A-Za-z0-9_.~-]*) echo "$1 is used in URLs: only letters, digits and _ . ~ - are allowed" >&2; exit 1 ;;
    esac
    keep "$1" "$value"
}

for name in postgres_password parc_password airflow_password switch_password kamailio_password \
    loader_password transformer_password exporter_password reader_password maintenance_password bi_reader_password \
    airflow_admin_password pseudonym_secret switch_secret airflow_secret_key airflow_jwt_secret; do
    word $name
done
key=$(given airflow_fernet_key)
keep airflow_fernet_key "${key:-$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')}"
keep warehouse_dsn "postgresql://parc:$(cat parc_password)@postgres:5432/parc"
keep switch_dsn "postgresql://switch:$(cat switch_password)@postgres:5432/switch"
keep airflow_dsn "postgresql+psycopg2://airflow:$(cat airflow_password)@postgres:5432/airflow"

# Where notices go, which server mails the weekly pages, and the credentials of a landing zone on SFTP or S3: fill these in; .env says which are used.
keep notice_urls "$(given notice_urls)"
keep weekly_mail "$(given weekly_mail)"
keep sftp_password "$(given sftp_password)"
[ -z "${AWS_ACCESS_KEY_ID:-}" ] || keep aws_credentials "[default]
aws_access_key_id = $AWS_ACCESS_KEY_ID
aws_secret_access_key = ${AWS_SECRET_ACCESS_KEY:-}${AWS_SESSION_TOKEN:+
aws_session_token = $AWS_SESSION_TOKEN}"
keep aws_credentials ""
