#!/bin/sh
# Takes nothing, prints the folder that holds Microsoft's own parser of KQL: an npm package, unpacked under .cache.
# npm only fetches it, from wherever it is set up to; nothing of it is run, and the checksum must be this one.
set -eu
. "$(dirname "$0")/deb.sh"

version=12.4.1
checksum=f186f08b50d5c67159f3e9a7c37f2bb978d2188c40da3c31d477aa8d2b6f31ae64487cc73ed1189b99fb7add5fc209f9283519273b12363b91ae8888fa3f1bac

home=$cache/kusto-$version
if [ ! -d "$home" ]; then
    node=$("$(dirname "$0")/node.sh") # which takes the lock itself
    lock
fi
if [ ! -d "$home" ]; then
    echo "kusto.sh: unpacking Microsoft's KQL parser under .cache (once, about 4 MB to fetch)" >&2
    scratch
    (cd "$new" && PATH="$node:$PATH" npm pack --silent --cache "$new/npm" --logs-max=0 --update-notifier=false \
        "@kusto/language-service-next@$version") > /dev/null ||
        die "npm cannot fetch @kusto/language-service-next@$version: mend the network, a proxy or npm's registry setting"
    echo "$checksum  $(echo "$new"/*.tgz)" | sha512sum --check --quiet >&2 ||
        die "@kusto/language-service-next@$version is not the one that is known: see its checksum in this script"
    mkdir "$new/parser"
    tar -xzf "$new"/*.tgz -C "$new/parser" --strip-components=1 \
        package/bridge.min.js package/Kusto.Language.Bridge.min.js package/package.json
    mv -T "$new/parser" "$home"
fi
echo "$home"
