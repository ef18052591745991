#!/bin/sh
# Takes nothing or 3, prints the folder that holds prometheus and promtool: from the PATH, or Debian's packages under
# .cache. With 3 it is a Prometheus 3; without, the machine's own, of whatever version.
set -eu
. "$(dirname "$0")/deb.sh"

case ${1:-} in
    '' | 3) major=${1:-} ;;
    *) die "takes nothing or 3, not '$1'" ;;
esac

if command -v prometheus > /dev/null && command -v promtool > /dev/null &&
    prometheus --version 2>&1 | grep -q "^prometheus, version $major"; then
    dirname "$(command -v prometheus)"
    exit
fi

home=$cache/prometheus${major:+-$major}
[ -d "$home" ] || lock
if [ ! -d "$home" ]; then
    echo "prometheus.sh: unpacking Prometheus${major:+ $major} under .cache (once)" >&2
    if [ "$major" ]; then
        deb_later forky # the first release of Debian with Prometheus 3
    else
        deb_update
    fi
    scratch
    deb_unpack "$new" prometheus $(deb_known promtool) # a package of its own since Debian 13
    mv -T "$new" "$home"
fi
echo "$home/usr/bin"
