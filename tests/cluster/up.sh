#!/usr/bin/env bash
# Starts the Kubernetes that build.sh has built, on this machine alone: a control plane and two real nodes, `cpu-node`
# and the tainted `gpu-node` with two GPUs that a device plugin makes up. Needs root.
#
#   tests/cluster/up.sh [WHERE]     about 20 s; writes WHERE/kubeconfig, by default /tmp/seamline-cluster
#   tests/cluster/down.sh [WHERE]   ends everything again
#
# Everything listens on loopback only. There is no kube-proxy and no DNS; of all Services, Pods reach the one of the
# Kubernetes API, whose address loopback gets, with a relay behind it.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-$HERE/../../.venv/bin/python}
W=${1:-${SEAMLINE_CLUSTER_DIR:-/tmp/seamline-cluster}}
CACHE=${SEAMLINE_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/seamline-cluster}
PORT=${SEAMLINE_CLUSTER_PORT:-26440}
API=10.96.0.1 # the first address of the Services, which Kubernetes gives to its own
export PATH=$CACHE/bin:/usr/sbin:/sbin:$PATH
unset HTTP_PROXY HTTPS_PROXY http_proxy https_proxy

[ -x "$CACHE/bin/kube-apiserver" ] || { echo "NOT UP: $CACHE/bin is empty; run tests/cluster/build.sh" >&2; exit 3; }
[ ! -e "$W/pids" ] || { echo "NOT UP: $W/pids exists; run tests/cluster/down.sh first" >&2; exit 3; }
mkdir -p "$W"/{log,pki,etcd}
W=$(cd "$W" && pwd)
P=$W/pki
trap 'code=$?; [ $code = 0 ] || { echo "NOT UP" >&2; tail -n 5 "$W"/log/* >&2; "$HERE/down.sh" "$W"; }' EXIT

start() { # NAME COMMAND...
  local name=$1
  shift
  setsid "$@" > "$W/log/$name" 2>&1 < /dev/null &
  echo "$! $name" >> "$W/pids"
}

certificate() { # NAME COMMON-NAME ORGANISATION
  openssl req -newkey rsa:2048 -nodes -keyout "$P/$1.key" -subj "/O=$3/CN=$2" -out "$P/$1.csr" 2> /dev/null
  openssl x509 -req -in "$P/$1.csr" -CA "$P/ca.crt" -CAkey "$P/ca.key" -CAcreateserial -days 30 -out "$P/$1.crt" \
    -extfile <(printf 'subjectAltName=DNS:localhost,DNS:cpu-node,DNS:gpu-node,IP:127.0.0.1,IP:%s' "$API") 2> /dev/null
}

kubeconfig() { # NAME
  KUBECONFIG=$P/$1.kubeconfig
  export KUBECONFIG
  : > "$KUBECONFIG"
  kubectl config set-cluster c --server="https://127.0.0.1:$((PORT + 2))" --certificate-authority="$P/ca.crt" --embed-certs
  kubectl config set-credentials u --client-certificate="$P/$1.crt" --client-key="$P/$1.key" --embed-certs
  kubectl config set-context c --cluster=c --user=u
  kubectl config use-context c
}

make_keys() {
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$P/ca.key" -subj /CN=seamline-test -days 30 -out "$P/ca.crt" 2> /dev/null
  openssl genrsa -out "$P/sa.key" 2048 2> /dev/null
  openssl rsa -in "$P/sa.key" -pubout -out "$P/sa.pub" 2> /dev/null
  certificate apiserver kube-apiserver kubernetes
  certificate admin admin system:masters
  certificate kcm system:kube-controller-manager kubernetes
  certificate scheduler system:kube-scheduler kubernetes
  certificate cpu-node system:node:cpu-node system:nodes
  certificate gpu-node system:node:gpu-node system:nodes
  for name in admin kcm scheduler cpu-node gpu-node; do kubeconfig $name > /dev/null; done
  cp "$P/admin.kubeconfig" "$W/kubeconfig"
}

control_plane() {
  start etcd etcd --data-dir "$W/etcd" --unsafe-no-fsync --listen-client-urls "http://127.0.0.1:$PORT" \
    --advertise-client-urls "http://127.0.0.1:$PORT" --listen-peer-urls "http://127.0.0.1:$((PORT + 1))" \
    --initial-advertise-peer-urls "http://127.0.0.1:$((PORT + 1))" \
    --initial-cluster "default=http://127.0.0.1:$((PORT + 1))"
  # The API server reaches the kubelets by the names of their nodes, which only it knows.
  { cat /etc/hosts; echo "127.0.0.1 cpu-node gpu-node"; } > "$W/hosts"
  # shellcheck disable=SC2016
  start apiserver unshare -m --propagation private bash -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$W/hosts" \
    kube-apiserver --etcd-servers="http://127.0.0.1:$PORT" --bind-address=127.0.0.1 --advertise-address=127.0.0.1 \
    --secure-port=$((PORT + 2)) --endpoint-reconciler-type=none --kubelet-preferred-address-types=Hostname \
    --client-ca-file="$P/ca.crt" --tls-cert-file="$P/apiserver.crt" --tls-private-key-file="$P/apiserver.key" \
    --kubelet-client-certificate="$P/apiserver.crt" --kubelet-client-key="$P/apiserver.key" \
    --kubelet-certificate-authority="$P/ca.crt" --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$P/sa.pub" --service-account-signing-key-file="$P/sa.key" \
    --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC --allow-privileged \
    --enable-admission-plugins=NodeRestriction \
    --default-not-ready-toleration-seconds=5 --default-unreachable-toleration-seconds=5
  KUBECONFIG=$W/kubeconfig
  export KUBECONFIG
  ip address replace "$API/32" dev lo
  start relay "$PYTHON" "$HERE/relay.py" "$API" 443 127.0.0.1 $((PORT + 2)) "$W" # down.sh knows its own by $W
  timeout 120 sh -c 'until kubectl get --raw /readyz > /dev/null 2>&1; do sleep 0.5; done'
  start controllers kube-controller-manager --kubeconfig="$P/kcm.kubeconfig" --root-ca-file="$P/ca.crt" \
    --service-account-private-key-file="$P/sa.key" --use-service-account-credentials --leader-elect=false \
    --bind-address=127.0.0.1 --port=0 --secure-port=$((PORT + 3)) --node-monitor-grace-period=16s
  start scheduler kube-scheduler --kubeconfig="$P/scheduler.kubeconfig" --leader-elect=false \
    --bind-address=127.0.0.1 --port=0 --secure-port=$((PORT + 4))
  kubectl create clusterrolebinding apiserver-to-kubelets --clusterrole=system:kubelet-api-admin --user=kube-apiserver
  timeout 60 sh -c 'until kubectl get serviceaccount default > /dev/null 2>&1; do sleep 0.5; done'
}

# A node has a containerd and a kubelet of its own, and for both a /var/lib/kubelet and a /var/log/pods of its own: the
# socket for device plugins lies at a fixed path, and a kubelet removes the logs of Pods that it does not know.
node() { # NAME NUMBER KUBELET-FLAGS...
  local name=$1 number=$2 root=$W/$1 port=$((PORT + 10 * $2))
  shift 2
  mkdir -p "$root"/{kubelet,cni,containerd,run,log}
  cat > "$root/cni/10-bridge.conflist" << J
{"cniVersion": "0.4.0", "name": "$name", "plugins": [{"type": "bridge", "bridge": "smln$number", "isDefaultGateway": true,
 "ipam": {"type": "host-local", "dataDir": "$root/ipam", "ranges": [[{"subnet": "10.244.$number.0/24"}]]}}]}
J
  cat > "$root/containerd.toml" << T
version = 2
root = "$root/containerd"
state = "$root/run"
[grpc]
  address = "$root/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "seamline-test/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$root/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
T
  for hierarchy in /sys/fs/cgroup/*/; do
    mkdir -p "$hierarchy/seamline-$name" 2> /dev/null || continue
    if [ -e "$hierarchy/cpuset.cpus" ]; then
      cat "$hierarchy/cpuset.cpus" > "$hierarchy/seamline-$name/cpuset.cpus"
      cat "$hierarchy/cpuset.mems" > "$hierarchy/seamline-$name/cpuset.mems"
    fi
  done
  cat > "$root/kubelet.yaml" << Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: $port
healthzPort: $((port + 1))
readOnlyPort: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $P/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $P/$name.crt
tlsPrivateKeyFile: $P/$name.key
cgroupDriver: cgroupfs
cgroupRoot: /seamline-$name
failSwapOn: false
makeIPTablesUtilChains: false
oomScoreAdj: 0
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
enforceNodeAllocatable: [pods]
nodeStatusUpdateFrequency: 4s
volumeStatsAggPeriod: 5s
resolvConf: ""
Y
  cat > "$root/start-containerd" << S
#!/bin/sh
echo \$\$ > $root/namespace
mount --bind $root/kubelet /var/lib/kubelet
mount --bind $root/log /var/log/pods
exec containerd --config $root/containerd.toml
S
  chmod +x "$root/start-containerd"
  mkdir -p /var/lib/kubelet /var/log/pods
  # Both share one mount namespace, or containerd would not see the volumes that the kubelet mounts.
  start "containerd-$name" unshare -m --propagation private "$root/start-containerd"
  timeout 30 sh -c "until ctr -a $root/containerd.sock version > /dev/null 2>&1; do sleep 0.2; done"
  ctr -a "$root/containerd.sock" -n k8s.io images import "$W/images.tar" > /dev/null
  start "kubelet-$name" nsenter -m -t "$(cat "$root/namespace")" kubelet --config "$root/kubelet.yaml" \
    --kubeconfig "$P/$name.kubeconfig" --hostname-override "$name" --root-dir /var/lib/kubelet \
    --container-runtime=remote --container-runtime-endpoint="unix://$root/containerd.sock" "$@"
}

nodes() {
  "$PYTHON" "$HERE/image.py" "$W/images.tar"
  node cpu-node 1
  node gpu-node 2 --node-labels=cloud.google.com/gke-accelerator=nvidia-fake,pool=gpu \
    --register-with-taints=nvidia.com/gpu=present:NoSchedule
  timeout 90 sh -c "until [ \$(kubectl get nodes 2> /dev/null | grep -c ' Ready') = 2 ]; do sleep 0.5; done"
  start device-plugin "$PYTHON" "$HERE/device_plugin.py" "$W/gpu-node/kubelet/device-plugins" 2
  timeout 60 sh -c 'until [ "$(kubectl get node gpu-node -o "jsonpath={.status.allocatable.nvidia\.com/gpu}")" = 2 ]; do
    sleep 0.5; done'
}

sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys \
  kernel.keys.root_maxbytes 2> /dev/null > "$W/sysctl" # the kubelet sets them; down.sh sets them back
: > "$W/pids"
make_keys
control_plane > /dev/null
nodes
kubectl get nodes >&2
echo "$W/kubeconfig"
