#!/bin/sh
# Takes nothing, prints the folder that holds a kustomize that knows Components: from the PATH, or Debian's package
# under .cache.
set -eu
. "$(dirname "$0")/deb.sh"

if command -v kustomize > /dev/null && kustomize build "$root/deploy/kubernetes/example" > /dev/null 2>&1; then
    dirname "$(command -v kustomize)"
    exit
fi

home=$cache/kustomize
[ -d "$home" ] || lock
if [ ! -d "$home" ]; then
    echo "kustomize.sh: unpacking kustomize under .cache (once)" >&2
    deb_update
    [ "$(deb_known kustomize)" ] || deb_later forky # in Debian since 13; Prometheus 3 comes from there too
    scratch
    deb_unpack "$new" kustomize
    mv -T "$new" "$home"
fi
echo "$home/usr/bin"
