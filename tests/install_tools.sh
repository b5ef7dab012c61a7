#!/bin/sh
# Programs that tests drive and that no Python package brings: a browser, a telephone switch, callers, an SFTP server.
# Installed where we may; elsewhere the tests that need them are skipped by name.
set -eu
PATH=$PATH:/usr/sbin
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v kamailio >/dev/null 2>&1 || missing="$missing kamailio kamailio-postgres-modules kamailio-extra-modules"
command -v sipp >/dev/null 2>&1 || missing="$missing sip-tester"
command -v sshd >/dev/null 2>&1 || missing="$missing openssh-server"
test -n "$missing" || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    apt-get update -qq >/dev/null || true
    # Debian would start the servers, on every interface: tests start their own, on loopback.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        trap 'rm -f $policy' EXIT
    fi
    # shellcheck disable=SC2086  # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null \
        || echo "could not install:$missing; tests that need them will be skipped" >&2
    if command -v systemctl >/dev/null 2>&1; then
        case "$missing" in *kamailio*) systemctl disable -q kamailio 2>/dev/null || true ;; esac
        case "$missing" in *openssh-server*) systemctl disable -q ssh 2>/dev/null || true ;; esac
    fi
else
    echo "not installed:$missing; tests that need them will be skipped" >&2
fi
