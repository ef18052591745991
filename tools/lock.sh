#!/bin/sh
# Takes pyproject.toml, gives the hash-locked requirements: runtime.txt for images, dev.txt for tests. Needs uv.
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
        --no-emit-index-url --no-emit-find-links pyproject.toml "$@"
}
compile "$@" --output-file requirements/runtime.txt
compile "$@" --group dev --output-file requirements/dev.txt
