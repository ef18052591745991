# Sourced by the scripts beside it: packages of Debian and of npm, without root and without installing them.
# apt keeps lists of its own under .cache/apt, for a fresh container has none, and old ones name packages that are gone.

root=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
cache=$root/.cache
apt_home=$cache/apt # lists and downloads
sources= # empty: those of the machine

# die TEXT…: one line on stderr, exit 1.
die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# apt TOOL ARGUMENT…: apt-get or apt-cache with lists of our own.
apt() {
    tool=$1
    shift
    "$tool" -qq -o Dir::State::Lists="$apt_home/lists" -o Dir::Cache="$apt_home" -o Acquire::Languages=none \
        -o APT::Sandbox::User="$(id -un)" \
        ${sources:+-o Dir::Etc::SourceList="$sources" -o Dir::Etc::SourceParts=/dev/null} "$@"
}

# lock: one set-up at a time (make -j, two terminals); who had to wait looks again whether it is done.
lock() {
    mkdir -p "$cache"
    exec 9> "$cache/lock"
    flock 9
}

# scratch: $new is a new folder under .cache, gone when the script ends, however it ends. What is complete is renamed,
# so that an interrupted run leaves nothing that looks finished.
scratch() {
    new=$(mktemp -d "$cache/new.XXXXXX")
    chmod 755 "$new"
    trap 'rm -rf "$new"' EXIT
    trap 'exit 130' INT TERM
}

# deb_update: fetches the package lists; one source that fails does not hold up the others.
deb_update() {
    command -v apt-get > /dev/null || die "this set-up needs Debian or Ubuntu: apt-get is missing"
    mkdir -p "$apt_home/lists/partial" "$apt_home/archives/partial"
    apt apt-get update >&2 || true
}

# deb_later SUITE: what follows takes packages of that suite of Debian, from the mirror that this machine uses itself.
deb_later() {
    deb_update
    mirror=$(apt apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
    [ "$mirror" ] || die "no packages of Debian's $1 here: this machine has no mirror of Debian, or it does not answer"
    apt_home=$cache/apt-$1
    sources=$apt_home/sources.list
    mkdir -p "$apt_home"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" > "$sources"
    deb_update
}

# deb_known NAME: prints the name if the distribution has such a package.
deb_known() {
    apt apt-cache show "$1" 2> /dev/null | sed -n "s/^Package: \($1\)$/\1/p" | head -n 1
}

# deb_unpack FOLDER NAME…: unpacks the packages, without their dependencies, below the folder.
deb_unpack() {
    folder=$1
    shift
    (cd "$folder" && apt apt-get download "$@" >&2) ||
        die "apt-get cannot fetch $*: mend the network, a proxy or /etc/apt/sources.list, then run this again"
    for package in "$folder"/*.deb; do
        dpkg-deb -x "$package" "$folder"
        rm "$package"
    done
}

# npm_unpack HOME NAME VERSION CHECKSUM FILE…: these files of an npm package, unless they are there. npm only fetches it,
# from wherever it is set up to; nothing of it is run, and the SHA-512 checksum must be this one.
npm_unpack() {
    [ ! -d "$1" ] || return 0
    node=$("$root/tools/node.sh") # which takes the lock itself
    lock
    [ ! -d "$1" ] || return 0
    home=$1 package=$2@$3 checksum=$4
    shift 4
    echo "${0##*/}: unpacking $package under .cache (once)" >&2
    scratch
    (cd "$new" && PATH="$node:$PATH" npm pack --silent --cache "$new/npm" --logs-max=0 --update-notifier=false \
        "$package") > /dev/null ||
        die "npm cannot fetch $package: mend the network, a proxy or npm's registry setting"
    echo "$checksum  $(echo "$new"/*.tgz)" | sha512sum --check --quiet >&2 ||
        die "$package is not the one that is known: see its checksum in this script"
    mkdir "$new/unpacked"
    tar -xzf "$new"/*.tgz -C "$new/unpacked" --strip-components=1 "$@"
    mv -T "$new/unpacked" "$home"
}
