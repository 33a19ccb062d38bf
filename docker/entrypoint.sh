#!/bin/sh
# `docker run IMAGE STEP ...` is `python -m components.STEP ...`; any other command runs as it stands.
set -eu
cd /app/components
steps=$(echo */__main__.py | sed 's,/__main__.py,,g')
case "${1:-}" in
"" | -h | --help) echo "usage: docker run IMAGE STEP [--help | ...], or any command; steps: $steps" && exit ;;
esac
case " $steps " in
*" $1 "*)
  step=$1 && shift
  set -- python -m "components.$step" "$@"
  ;;
esac
cd "$OLDPWD"
exec "$@"
