#!/bin/sh
# Takes a folder, makes a virtual environment with pip there, also where python3 comes without python3-venv.
set -eu
. "$(dirname "$0")/deb.sh"

home=$1
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null ||
    die "$python is not Python 3.10 or newer: name one that is, as in PYTHON=/usr/bin/python3.11"

lock
! "$home/bin/python" -c 'import pip' 2> /dev/null || exit 0
if "$python" -c 'import ensurepip' 2> /dev/null; then
    "$python" -m venv --clear "$home"
else
    echo "venv.sh: python3-venv is not installed; unpacking pip under .cache" >&2
    deb_update
    scratch
    deb_unpack "$new" python3-pip-whl
    "$python" -m venv --clear --without-pip "$home"
    wheel=$(echo "$new"/usr/share/python-wheels/pip-*.whl)
    # The pip of Ubuntu 22.04 needs distutils, which is not there without python3-venv either.
    "$home/bin/python" "$wheel/pip" --version > /dev/null 2>&1 || die "run 'sudo apt-get install python3-venv' once"
    "$home/bin/python" "$wheel/pip" install -qq --no-index "$wheel"
fi
