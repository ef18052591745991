#!/bin/sh
# Takes nothing, prints the folder that holds a real tritonserver: from the PATH, or a PyPI wheel's under .cache (CPU).
#
# The wheel brings the server and, for its Python backend, one stub for each Python up to 3.13; a stub embeds its Python
# as a shared library, which few interpreters have. So the distribution's own Python is unpacked beside the wheel: what
# python3 is on this machine does not matter.
set -eu
. "$(dirname "$0")/deb.sh"

version=0.7.0 # of nvidia-pytriton, the last with a server inside: Triton 2.51.0, container release 24.10

if command -v tritonserver > /dev/null; then
    dirname "$(command -v tritonserver)"
    exit
fi

home=$cache/triton-$version
[ -d "$home" ] || lock
if [ ! -d "$home" ]; then
    echo "triton.sh: installing Triton under .cache (once, about 90 MB to fetch)" >&2
    glibc=$(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)
    [ "$(printf '%s\n' 2.35 "$glibc" | sort -V | head -n 1)" = 2.35 ] ||
        die "Triton's wheel needs glibc 2.35 (Debian 12, Ubuntu 22.04), here is $glibc: put a tritonserver on the PATH"
    for python in "${PYTHON:-}" "$root/.venv/bin/python" python3 none; do
        "$python" -m pip --version > /dev/null 2>&1 && break
    done
    [ "$python" != none ] || die "no pip here: make the virtual environment first (tools/venv.sh .venv)"

    deb_update
    embedded=$(apt apt-cache depends python3 | sed -n 's/.*Depends: python\(3\.[0-9]*\)$/\1/p' | head -n 1)
    case $embedded in
        3.[89] | 3.1[0-3]) ;;
        *) die "Triton's wheel knows Python 3.8 to 3.13, not '$embedded': put a tritonserver on the PATH" ;;
    esac

    scratch
    library=$(deb_known "libpython${embedded}t64") # its name in Ubuntu 24.04
    deb_unpack "$new" "python$embedded-minimal" "${library:-libpython$embedded}" "libpython$embedded-minimal" \
        "libpython$embedded-stdlib" libexpat1
    ln -s "python$embedded" "$new/usr/bin/python3"

    packages=usr/lib/python3/dist-packages
    "$python" -m pip install -qq --target "$new/$packages" --python-version "$embedded" --only-binary :all: \
        --no-deps "nvidia-pytriton==$version" numpy ||
        die "pip cannot install nvidia-pytriton==$version: mend the network or pip's settings, then run this again"

    backends=$packages/pytriton/tritonserver/backends
    cp "$new/$backends/../python_backend_stubs/$embedded/triton_python_backend_stub" "$new/$backends/python/"
    # Where the stub's run path looks first. The stub for 3.13 asks for the wheel's own build of the library, which does
    # not fit Debian's standard library: Debian's stands in for it.
    libraries=$new/$packages/nvidia_pytriton.libs
    find "$new" -path '*-linux-gnu/*' \( -name 'libpython3.*.so.1.0' -o -name 'libexpat.so.1' \) \
        -exec cp -L {} "$libraries/" \;
    [ "$embedded" != 3.13 ] || cp "$libraries/libpython3.13.so.1.0" "$libraries"/libpython3-*.13.so.1.0

    mkdir "$new/bin"
    cat > "$new/bin/tritonserver" << EOF
#!/bin/sh
# Made by tools/triton.sh. The stub finds its standard library and packages beside the first python3 on the PATH.
home=\$(CDPATH='' cd "\$(dirname "\$0")/.." && pwd)
export PATH="\$home/usr/bin:\$PATH"
exec "\$home/$backends/../bin/tritonserver" --backend-directory "\$home/$backends" \\
    --cache-directory "\$home/$backends/../caches" "\$@"
EOF
    chmod +x "$new/bin/tritonserver"
    mv -T "$new" "$home"
fi
echo "$home/bin"
