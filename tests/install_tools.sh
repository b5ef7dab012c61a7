#!/bin/sh
# Programs that tests drive and that no Python package brings: a browser. Installed where we may; elsewhere
# the tests that need it are skipped by name.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
else
    echo "chromium is not installed: tests of the UI will be skipped" >&2
fi
