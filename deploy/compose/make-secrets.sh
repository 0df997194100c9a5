#!/usr/bin/env bash
# Makes the passwords that docker-compose.yml reads, once; what is there already stays.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets tls
word() { head -c 24 /dev/urandom | base64 | tr -d '/+=\n'; }
[ -s secrets/postgres-password ] || word > secrets/postgres-password
[ -s secrets/grafana-password ] || word > secrets/grafana-password
[ -s secrets/pgpass ] || printf 'postgres:5432:headroom:headroom:%s\n' "$(cat secrets/postgres-password)" > secrets/pgpass
printf 'passwords lie in %s/secrets\n' "$PWD"
