#!/bin/sh
# Takes arguments for pip install, gives /opt/bridge: a virtual environment that fits the python3 of this base image, and
# holds no pip of its own. pip's settings come as build arguments; certificates from the secret "ca", as for apt.
set -eu
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "this base image has no python3 of 3.10 or newer: take a newer image" >&2
    exit 1
}
python3 -m pip --version > /dev/null 2>&1 || sh "$(dirname "$0")/apt.sh" python3-pip
[ -d /opt/bridge ] || python3 -m venv --without-pip /opt/bridge
[ ! -s /run/secrets/ca ] || export PIP_CERT=/run/secrets/ca
python3 -m pip --python /opt/bridge/bin/python --quiet --no-cache-dir --disable-pip-version-check \
    install --only-binary :all: "$@"
