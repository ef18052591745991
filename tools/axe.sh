#!/bin/sh
# Takes nothing, prints the folder that holds axe.min.js, the checker of accessibility: an npm package, unpacked under
# .cache. npm only fetches it, from wherever it is set up to; the checksum must be this one.
set -eu
. "$(dirname "$0")/deb.sh"

version=4.14.1
checksum=1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5

home=$cache/axe-$version
if [ ! -d "$home" ]; then
    node=$("$(dirname "$0")/node.sh") # which takes the lock itself
    lock
fi
if [ ! -d "$home" ]; then
    echo "axe.sh: unpacking axe-core under .cache (once, under 1 MB to fetch)" >&2
    scratch
    (cd "$new" && PATH="$node:$PATH" npm pack --silent --cache "$new/npm" --logs-max=0 --update-notifier=false \
        "axe-core@$version") > /dev/null ||
        die "npm cannot fetch axe-core@$version: mend the network, a proxy or npm's registry setting"
    echo "$checksum  $(echo "$new"/*.tgz)" | sha512sum --check --quiet >&2 ||
        die "axe-core@$version is not the one that is known: see its checksum in this script"
    mkdir "$new/axe"
    tar -xzf "$new"/*.tgz -C "$new/axe" --strip-components=1 package/axe.min.js package/LICENSE
    mv -T "$new/axe" "$home"
fi
echo "$home"
