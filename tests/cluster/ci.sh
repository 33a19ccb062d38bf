#!/usr/bin/env bash
# The cluster stage of continuous integration: runs where something has changed that a cluster can tell apart, and says
# loudly where it has not run. Ends what it starts.
#
#   tests/cluster/ci.sh [SINCE]     SINCE is a commit, by default the last one but one
set -euo pipefail
cd "$(dirname "$0")/../.."
SINCE=${1:-HEAD~1}
WATCHED="k8s docker pipeline/engine pipeline/launchers.py pipeline/placement.py components/images.py tests/cluster"
NEEDED_GB=12

not_run() { printf 'NOT RUN: the cluster stage: %s\n' "$1"; exit 0; }

# shellcheck disable=SC2086
if git rev-parse --verify --quiet "$SINCE^{commit}" > /dev/null && git diff --quiet "$SINCE" -- $WATCHED &&
  [ -z "${SEAMLINE_CLUSTER:-}" ]; then
  not_run "nothing has changed since $SINCE in: $WATCHED"
fi
[ "$(id -u)" = 0 ] || not_run "it needs root"
grep -q bookworm /etc/os-release || not_run "it needs Debian 12, whose source package of Kubernetes still has everything"
mkdir -p "${XDG_CACHE_HOME:-$HOME/.cache}"
free_gb=$(df --output=avail -BG "${XDG_CACHE_HOME:-$HOME/.cache}" | tail -1 | tr -dc 0-9)
[ "$free_gb" -ge $NEEDED_GB ] || not_run "$free_gb GB of disk are free, $NEEDED_GB are needed"
unshare -m true 2> /dev/null || not_run "it may not make mount namespaces"

home=$(mktemp -d)/up
trap 'tests/cluster/down.sh "$home"' EXIT
tests/cluster/build.sh
tests/cluster/up.sh "$home"
if docker image inspect "$(.venv/bin/python -c 'from components import images; print(images.CPU)')" > /dev/null 2>&1; then
  docker save "$(.venv/bin/python -c 'from components import images; print(images.CPU)')" |
    ctr -a "$home/cpu-node/containerd.sock" -n k8s.io images import - > /dev/null
else
  printf 'NOT RUN: parity with Pods: no image of the steps; the Docker stage builds it\n'
fi
SEAMLINE_KUBECONFIG=$home/kubeconfig .venv/bin/python -m pytest tests/cluster -m slow -n 0 -rs
