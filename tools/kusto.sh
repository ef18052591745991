#!/bin/sh
# Takes nothing, prints the folder that holds Microsoft's own parser of KQL: an npm package, unpacked under .cache.
set -eu
. "$(dirname "$0")/deb.sh"

version=12.4.1
checksum=f186f08b50d5c67159f3e9a7c37f2bb978d2188c40da3c31d477aa8d2b6f31ae64487cc73ed1189b99fb7add5fc209f9283519273b12363b91ae8888fa3f1bac

npm_unpack "$cache/kusto-$version" @kusto/language-service-next "$version" "$checksum" \
    package/bridge.min.js package/Kusto.Language.Bridge.min.js package/package.json
echo "$cache/kusto-$version"
