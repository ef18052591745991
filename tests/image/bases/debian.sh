#!/bin/sh
# Takes a Docker client and a tag, makes the base of all base images: this machine's own release of Debian or Ubuntu,
# from its own mirror. Needs root.
set -eu
docker=$1 tag=$2
. "$(dirname "$0")/../../../tools/deb.sh"
cache=$root/../../.cache apt_home=$root/../../.cache/apt # it takes its root from where this script is

. /etc/os-release
deb_update
mirror=$(apt apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $VERSION_CODENAME" | head -n 1)
[ "$mirror" ] || die "no mirror of $PRETTY_NAME is known here: see /etc/apt/sources.list"
scratch
debootstrap --variant=minbase "$VERSION_CODENAME" "$new" "$mirror" >&2 || die "debootstrap failed, see above"
# s6 is in universe.
[ "$ID" != ubuntu ] || echo "deb $mirror $VERSION_CODENAME main universe" > "$new/etc/apt/sources.list"
rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/*
tar -C "$new" -c . | "$docker" import - "$tag" >&2
