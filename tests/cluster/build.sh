#!/usr/bin/env bash
# Builds a real Kubernetes (API server, controllers, scheduler, kubelet, kubectl) from Debian's own source package,
# and installs etcd, containerd and the CNI plugins beside it. Needs root and Debian 12; nothing but apt is used.
#
#   tests/cluster/build.sh [CACHE]     8 to 20 minutes and 3 GB the first time, nothing when it is there already
#
# The binaries stay in CACHE/bin, by default ~/.cache/seamline-cluster/bin; the source tree is removed again.
set -euo pipefail
CACHE=${1:-${SEAMLINE_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/seamline-cluster}}
COMMANDS="kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl"
PACKAGES="etcd-server containerd runc containernetworking-plugins busybox-static conntrack iptables iproute2 openssl"
BUILD_PACKAGES="golang-1.19-go dpkg-dev rsync jq make gcc libc6-dev"
APT="-o DPkg::Lock::Timeout=300 -qq"
export DEBIAN_FRONTEND=noninteractive

say() { printf '%s (%s s)\n' "$1" "$SECONDS" >&2; }
refuse() { printf 'NOT BUILT: %s\n' "$1" >&2; exit 3; }

install_packages() {
  dpkg-query -W "$@" > /dev/null 2>&1 && return
  apt-get $APT update
  apt-get $APT install -y --no-install-recommends -o Dpkg::Options::=--force-confdef "$@" > /dev/null
}

# Sources come from the mirror that this machine already uses, with lists of their own: the system's stay untouched.
fetch_sources() {
  local mirror
  mirror=$(awk '/^URIs/{print $2; exit}' /etc/apt/sources.list.d/debian.sources 2> /dev/null || true)
  mkdir -p lists/partial archives/partial
  printf 'Types: deb-src\nURIs: %s\nSuites: bookworm\nComponents: main\nSigned-By: %s\n' \
    "${mirror:-http://deb.debian.org/debian}" /usr/share/keyrings/debian-archive-keyring.gpg > debian.sources
  local own="-o Dir::Etc::sourcelist=$PWD/debian.sources -o Dir::Etc::sourceparts=- -o Dir::State::lists=$PWD/lists"
  apt-get $APT $own update
  apt-get $APT $own -o Dir::Cache="$PWD" -o APT::Sandbox::User=root source kubernetes > /dev/null 2>&1
  apt-get $APT download golang-github-modern-go-reflect2-dev
}

# The vendored reflect2 walks maps in a way that Go 1.18 changed: with it the API server segfaults while it answers.
renew_reflect2() {
  local vendored=vendor/github.com/modern-go/reflect2
  dpkg -x ../golang-github-modern-go-reflect2-dev*.deb ../reflect2
  rm -f $vendored/*.go $vendored/*.s
  cp ../reflect2/usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} $vendored/
}

compile() {
  PATH=$(dirname "$(dpkg -L golang-1.19-go | grep '/bin/go$')"):$PATH
  export PATH GOPROXY=off GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="" GOCACHE=$CACHE/go-build
  export KUBE_GIT_TREE_STATE=clean KUBE_GIT_VERSION=v1.20.2 KUBE_GIT_COMMIT=debian KUBE_GIT_MAJOR=1 KUBE_GIT_MINOR=20
  make WHAT="$(printf 'cmd/%s ' $COMMANDS)" GOGCFLAGS= > ../make.log 2>&1 || { tail -30 ../make.log >&2; exit 1; }
}

built() { for name in $COMMANDS; do [ -x "$CACHE/bin/$name" ] || return 1; done; }

[ "$(id -u)" = 0 ] || refuse "it needs root, for apt and later for the kubelet"
mkdir -p "$CACHE"
CACHE=$(cd "$CACHE" && pwd)
install_packages $PACKAGES
built && { say "Kubernetes is built: $CACHE/bin"; exit 0; }
[ "$(df --output=avail -k "$CACHE" | tail -1)" -gt 6000000 ] || refuse "less than 6 GB are free at $CACHE"

say "Kubernetes v1.20.2: packages to build it"
install_packages $BUILD_PACKAGES
rm -rf "$CACHE/source" && mkdir -p "$CACHE/source" && cd "$CACHE/source"
say "Kubernetes v1.20.2: source from Debian"
fetch_sources
cd kubernetes-*/
renew_reflect2
say "Kubernetes v1.20.2: compiling"
compile
mkdir -p "$CACHE/bin"
for name in $COMMANDS; do install -s -m 755 "_output/local/go/bin/$name" "$CACHE/bin/$name"; done
cd / && chmod -R u+w "$CACHE/source" && rm -rf "$CACHE/source" "$CACHE/go-build"
say "Kubernetes is built: $CACHE/bin"
