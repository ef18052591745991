#!/bin/sh
# Takes nothing, prints the folder that holds axe.min.js, the checker of accessibility: an npm package, unpacked under
# .cache.
set -eu
. "$(dirname "$0")/deb.sh"

version=4.14.1
checksum=1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5

npm_unpack "$cache/axe-$version" axe-core "$version" "$checksum" package/axe.min.js package/LICENSE
echo "$cache/axe-$version"
