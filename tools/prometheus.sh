#!/bin/sh
# Takes nothing, prints the folder that holds prometheus and promtool: from the PATH, or Debian's package under .cache.
set -eu
. "$(dirname "$0")/deb.sh"

if command -v prometheus > /dev/null && command -v promtool > /dev/null; then
    dirname "$(command -v prometheus)"
    exit
fi

home=$cache/prometheus
[ -d "$home" ] || lock
if [ ! -d "$home" ]; then
    echo "prometheus.sh: unpacking Prometheus under .cache (once)" >&2
    deb_update
    scratch
    deb_unpack "$new" prometheus $(deb_known promtool) # a package of its own since Debian 13
    mv -T "$new" "$home"
fi
echo "$home/usr/bin"
