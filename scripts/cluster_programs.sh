#!/bin/sh
# PostgreSQL and Redis for `make test-cluster`: Debian's packages, where they are missing and may be installed.
set -eu
missing=
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
[ -d /usr/lib/postgresql ] || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "Install$missing to run the cluster's tests." >&2
    exit 0
fi
echo "For the cluster's tests:$missing (Debian's packages)" >&2
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
