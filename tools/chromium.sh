#!/bin/sh
# Takes nothing, prints the folder that holds chromium and chromedriver, of one version: from the PATH, or Debian's
# packages under .cache, with what this machine lacks of their libraries. Exit code 3: there is none here to be had.
set -eu
. "$(dirname "$0")/deb.sh"

# major PROGRAM: the first number of its version.
major() {
    "$1" --version 2> /dev/null | sed -n 's/^[A-Za-z]* \([0-9]*\)\..*/\1/p'
}

no_browser() {
    echo "chromium.sh: $*" >&2
    exit 3
}

found=$(command -v chromedriver || true)
if [ "$found" ] && [ -x "${found%/*}/chromium" ] && [ "$(major "$found")" = "$(major "${found%/*}/chromium")" ]; then
    echo "${found%/*}"
    exit
fi

home=$cache/chromium
[ -d "$home" ] || lock
if [ ! -d "$home" ]; then
    echo "chromium.sh: unpacking Chromium under .cache (once, about 100 MB to fetch)" >&2
    command -v apt-get > /dev/null || no_browser "no Chromium here: put chromium and chromedriver on the PATH"
    deb_update
    [ "$(deb_known chromium-driver)" ] ||
        no_browser "this distribution has no package of Chromium: put chromium and chromedriver on the PATH"
    # What apt would install is what is missing; a driver and a browser of two versions would not speak to one another.
    missing=$(apt apt-get install --simulate --reinstall --no-install-recommends \
        chromium chromium-common chromium-driver |
        sed -n 's/^Inst \([^ ]*\) .*/\1/p')
    scratch
    deb_unpack "$new" $missing
    if [ -e "$new/etc/fonts/fonts.conf" ]; then # it knows the fonts of / only, and its parts are links there
        sed -i 's#<dir>/usr/share/fonts</dir>#<dir prefix="relative">../../usr/share/fonts</dir>#' "$new/etc/fonts/fonts.conf"
        for link in "$new"/etc/fonts/conf.d/*.conf; do
            ln -sf "../../../usr/share/fontconfig/conf.avail/${link##*/}" "$link"
        done
    fi
    mkdir "$new/programs"
    for program in chromium chromedriver; do
        cat > "$new/programs/$program" << 'END'
#!/bin/sh
# Made by tools/chromium.sh.
home=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
for folder in "$home"/lib/*-linux-gnu "$home"/usr/lib/*-linux-gnu "$home"/usr/lib/*-linux-gnu/pulseaudio; do
    LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
done
export LD_LIBRARY_PATH
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_FILE="$home/etc/fonts/fonts.conf"
for program in "$home/usr/lib/chromium/PROGRAM" "$home/usr/bin/PROGRAM"; do
    [ ! -x "$program" ] || exec "$program" "$@"
done
END
        sed -i "s/PROGRAM/$program/g" "$new/programs/$program"
        chmod +x "$new/programs/$program"
    done
    mv -T "$new" "$home"
fi
echo "$home/programs"
