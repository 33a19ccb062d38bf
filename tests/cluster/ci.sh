#!/usr/bin/env bash
# The cluster stage of continuous integration: runs unless what a cluster can tell apart is just as it was when the stage
# last passed on this machine, and says loudly where it has not run. Ends what it starts.
#
#   tests/cluster/ci.sh            SEAMLINE_CLUSTER=1 runs it in any case
set -euo pipefail
cd "$(dirname "$0")/../.."
WATCHED="k8s docker pipeline/engine pipeline/launchers.py pipeline/placement.py components/images.py tests/cluster tests/k8s"
NEEDED_GB=16
CACHE=${SEAMLINE_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/seamline-cluster}

not_run() { printf 'NOT RUN: the cluster stage: %s\n' "$1"; exit 0; }

# shellcheck disable=SC2086
now() { git diff --quiet HEAD -- $WATCHED && git ls-tree -r HEAD -- $WATCHED | sha256sum; }
if [ -z "${SEAMLINE_CLUSTER:-}" ] && [ -s "$CACHE/passed" ] && [ "$(now)" = "$(cat "$CACHE/passed")" ]; then
  not_run "it has passed on this machine with just these: $WATCHED"
fi
[ "$(id -u)" = 0 ] || not_run "it needs root"
grep -q bookworm /etc/os-release || not_run "it needs Debian 12, whose source package of Kubernetes still has everything"
mkdir -p "$CACHE"
free_gb=$(df --output=avail -BG "$CACHE" | tail -1 | tr -dc 0-9)
[ "$free_gb" -ge $NEEDED_GB ] || not_run "$free_gb GB of disk are free, $NEEDED_GB are needed"
unshare -m true 2> /dev/null || not_run "it may not make mount namespaces"

home=$(mktemp -d)/up
engine=
trap 'tests/cluster/down.sh "$home"; [ -z "$engine" ] || kill "$engine"' EXIT
tests/cluster/build.sh
tests/cluster/up.sh "$home"
if ! docker info > /dev/null 2>&1 && command -v dockerd > /dev/null; then
  dockerd > "$home/log/dockerd" 2>&1 &
  engine=$!
  timeout 60 sh -c 'until docker info > /dev/null 2>&1; do sleep 0.5; done' || true
fi
whole=1
if ! tests/cluster/load.sh "$home"; then
  printf 'NOT RUN: parity with Pods, and the overlay in a cluster: no images of steps and server; the stage of containers builds them\n'
  whole=
fi
SEAMLINE_KUBECONFIG=$home/kubeconfig .venv/bin/python -m pytest tests/cluster tests/k8s/test_manifests_on_a_cluster.py \
  -m slow -n 0 -rs
[ -z "$whole" ] || now > "$CACHE/passed" || true
