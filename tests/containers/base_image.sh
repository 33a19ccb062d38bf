#!/usr/bin/env bash
# Makes a base image without a registry: Debian with Python from the machine's own mirror, as the tag $1.
#
# Where this machine needs a certificate of its own to reach a package index (SSL_CERT_FILE), the base gets it, so that
# the project's Dockerfile stays free of it. Needs root, debootstrap and a Docker Engine.
set -euo pipefail
tag=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/seamline-base
archive=$cache/bookworm-python.tar
mirror=$(awk '/^URIs/{print $2; exit}' /etc/apt/sources.list.d/debian.sources 2> /dev/null || true)

mkdir -p "$cache"
if [ ! -f "$archive" ]; then
  root=$(mktemp -d "$cache/root.XXXXXX")
  trap 'rm -rf "$root"' EXIT
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python3-pip \
    bookworm "$root" "${mirror:-http://deb.debian.org/debian}" > "$cache/debootstrap.log"
  tar -C "$root" --exclude=./var/cache/apt/archives/*.deb --exclude=./var/lib/apt/lists/* -cf "$archive.new" .
  mv "$archive.new" "$archive"
fi

docker import -c 'CMD ["python3"]' -c 'ENV LANG=C.UTF-8' "$archive" "$tag" > /dev/null
[ -f "${SSL_CERT_FILE:-}" ] || exit 0
context=$(mktemp -d)
cp "$SSL_CERT_FILE" "$context/ca.crt"
printf 'FROM %s\nCOPY ca.crt /etc/ssl/certs/ca-certificates.crt\nENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt\n' "$tag" \
  > "$context/Dockerfile"
docker build --quiet --tag "$tag" "$context" > /dev/null
rm -r "$context"
