#!/bin/sh
# Restarts containers of docker-compose.yaml that live and are unhealthy: Docker by itself starts only what has ended.
# Run it on the host every minute (docs/deployment.md has a systemd timer). Says what it does, nothing otherwise.
set -eu
cd "$(dirname "$0")/.."
docker compose ps --all --quiet | while read -r container; do
    state=$(docker inspect --format '{{.Name}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$container")
    case $state in
        *" unhealthy")
            echo "restarting ${state% unhealthy}: unhealthy"
            # A worker's stop waits for its tasks; one that shows no life has nothing to wait for.
            docker restart --time 30 "$container" >/dev/null
            ;;
    esac
done
