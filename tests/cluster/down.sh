#!/usr/bin/env bash
# Ends what up.sh has started in WHERE, its Pods included, and sets the kernel's settings back.
set -uo pipefail
W=${1:-${SEAMLINE_CLUSTER_DIR:-/tmp/seamline-cluster}}
[ -d "$W" ] || { echo "nothing is up in $W" >&2; exit 0; }
W=$(cd "$W" && pwd)

ours() { grep -qaF "$W" "/proc/$1/cmdline" 2> /dev/null; } # neither gone nor a pid that is somebody else's by now

# The kubelets before the containerds: they would start again what is ended.
pids=$(tac "$W/pids" 2> /dev/null | cut -d' ' -f1)
for pid in $pids; do ours "$pid" && kill -- "-$pid" 2> /dev/null; done
for _ in $(seq 50); do
  left=""
  for pid in $pids; do ours "$pid" && left=$pid; done
  [ -z "$left" ] && break
  sleep 0.1
done
for pid in $pids; do ours "$pid" && kill -9 -- "-$pid" 2> /dev/null; done
for name in cpu-node gpu-node; do
  for tasks in /sys/fs/cgroup/pids/seamline-$name /sys/fs/cgroup/memory/seamline-$name; do
    [ -d "$tasks" ] && find "$tasks" -name cgroup.procs -exec cat {} + 2> /dev/null | xargs -r kill -9 2> /dev/null
  done
done
# The shims of the containers are each a session of their own; they name this folder in their command line.
for pid in $(grep -la "$W/[a-z-]*/containerd.sock" /proc/[0-9]*/cmdline 2> /dev/null | cut -d/ -f3); do
  [ "$pid" = $$ ] || kill -9 "$pid" 2> /dev/null
done
sleep 0.5
awk -v w="$W/" 'index($2, w) {print $2}' /proc/mounts | sort -r | xargs -r -n1 umount -l 2> /dev/null
ip address delete 10.96.0.1/32 dev lo 2> /dev/null
for number in 1 2; do ip link delete "smln$number" 2> /dev/null; done
for name in cpu-node gpu-node; do
  find /sys/fs/cgroup/*/seamline-$name -depth -type d -exec rmdir {} + 2> /dev/null
done
[ -e "$W/sysctl" ] && sysctl -q -p "$W/sysctl" > /dev/null 2>&1
rm -rf "$W"
