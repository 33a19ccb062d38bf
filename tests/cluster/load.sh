#!/usr/bin/env bash
# Puts the images of steps and server, which `seamline images build` has left in the Docker Engine here, on both nodes of
# up.sh's cluster. Its GPUs are made up, so the image without NVIDIA's libraries stands in for the one with them.
#
#   tests/cluster/load.sh [WHERE]     a minute or two; WHERE is up.sh's
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-$HERE/../../.venv/bin/python}
W=${1:-${SEAMLINE_CLUSTER_DIR:-/tmp/seamline-cluster}}
cd "$HERE/../.."
name() { "$PYTHON" -c "from components import images; print(images.$1)"; }
CPU=$(name CPU) GPU=$(name GPU) SERVER=$(name SERVER)

for node in cpu-node gpu-node; do
  on_node() { ctr -a "$W/$node/containerd.sock" -n k8s.io images "$@"; }
  docker save "$CPU" "$SERVER" | on_node import - > /dev/null
  on_node tag --force "docker.io/$CPU" "docker.io/$GPU" > /dev/null
  echo "loaded $CPU and $SERVER on $node" >&2
done
