#!/bin/sh
# Starts the switch in its container. The environment gives the last resort, the peers and the tuning; the database
# password and the secret shared with the platform are files.
set -eu
umask 077
address=$(hostname -i | cut -d' ' -f1)
kamailio_password=$(cat /run/secrets/kamailio_password)
switch_secret=$(cat /run/secrets/switch_secret)
case "$switch_secret" in
    ????????????????*) ;;
    *) echo "switch_secret must have 16 or more letters and digits; deploy/write_secrets.sh makes one" >&2; exit 1 ;;
esac
# Calls from this host arrive by the published port, and so from the network's gateway. No other calls are accepted
# unless PEERS names their senders.
if [ -z "${PEERS:-}" ]; then
    gateway=$(awk '$2 == "00000000" { print $3; exit }' /proc/net/route)
    PEERS=$(printf '%d.%d.%d.%d/32' $(echo "$gateway" | sed 's/\(..\)\(..\)\(..\)\(..\)/0x\4 0x\3 0x\2 0x\1/'))
fi
cat > /tmp/kamailio.cfg <<CFG
#!KAMAILIO
#!define DB_URL "postgres://kamailio:$kamailio_password@postgres:5432/switch"
#!define RPC_SOCKET "unixd:/run/kamailio/rpc.sock"
#!define CALLS_SOCKET udp:$address:5060${ADVERTISED:+ advertise $ADVERTISED}
#!define PROBES_SOCKET udp:$address:5061
#!define PROBES_PORT 5061
#!define LAST_RESORT "$LAST_RESORT"
#!define CHILDREN ${WORKERS:-4}
#!define PING_SECONDS ${PING_SECONDS:-10}
#!define PEERS "$PEERS"
#!define PEER_CALLS ${PEER_CALLS:-400}
#!define SECRET "$switch_secret"
include_file "/etc/parc/kamailio.cfg"
CFG
rm -f /run/kamailio/rpc.sock /run/kamailio/c-??????
exec kamailio -DD -E -x tlsf -X tlsf -m "${MEMORY_MB:-4096}" -M 16 -f /tmp/kamailio.cfg -Y /run/kamailio \
    -P /run/kamailio/kamailio.pid
