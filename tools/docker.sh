#!/bin/sh
# Takes nothing, prints a Docker client with BuildKit whose engine runs; without one, root installs and starts Debian's.
# Takes stop, ends the engine if this script has started it. Exit code 3: there is no engine here, and none can be had.
set -eu
. "$(dirname "$0")/deb.sh"
pidfile=$cache/dockerd.pid log=$cache/dockerd.log

no_engine() {
    echo "docker.sh: $*" >&2
    exit 3
}

# The first client that can build with BuildKit: the one on the PATH may lack a plugin that the distribution's has.
client() {
    for found in "${DOCKER:-}" docker /usr/bin/docker; do
        DOCKER_BUILDKIT=1 "$found" build --help 2> /dev/null | grep -q -- --secret && echo "$found" && return
    done
    return 1
}

# install NAME…: those of the packages that the distribution has.
install() {
    [ "$(id -u)" = 0 ] || no_engine "no Docker with BuildKit here, and only root can install it: sudo apt-get install docker.io"
    command -v apt-get > /dev/null || no_engine "no Docker with BuildKit here: install it (docs.docker.com/engine/install)"
    deb_update
    echo "docker.sh: installing $*" >&2
    DEBIAN_FRONTEND=noninteractive apt apt-get install --yes --no-install-recommends \
        $(for name in "$@"; do deb_known "$name"; done) > "$log" 2>&1 || no_engine "apt-get cannot install $*: see $log"
}

# start OPTION…: a daemon of our own; whether it answers within half a minute.
start() {
    [ "$(id -u)" = 0 ] || no_engine "no Docker engine answers, and only root can start one: sudo systemctl start docker"
    setsid dockerd --data-root "$cache/docker" --pidfile "$pidfile" "$@" > "$log" 2>&1 < /dev/null 9>&- &
    started=$!
    for _ in $(seq 60); do
        "$docker" version > /dev/null 2>&1 && return
        kill -0 "$started" 2> /dev/null || return 1
        sleep 0.5
    done
    kill "$started"
    return 1
}

case ${1:-} in
    '') ;;
    stop)
        [ -f "$pidfile" ] || exit 0
        pid=$(cat "$pidfile")
        [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = dockerd ] || exit 0 # it has ended, and the number is another's
        kill "$pid"
        while [ -d "/proc/$pid" ]; do sleep 0.2; done
        exit
        ;;
    *) die "takes nothing or stop, not '$1'" ;;
esac

lock
docker=$(client) || { install docker.io docker-cli docker-buildx && docker=$(client); } || no_engine "docker.io has no BuildKit here"
if ! "$docker" version > /dev/null 2>&1; then
    command -v dockerd > /dev/null || install docker.io
    start || start --storage-driver vfs ||
        no_engine "dockerd does not start: $(sed -n 's/^failed to start daemon: //p' "$log" | tail -n 1) (all of it: $log)"
fi
command -v debootstrap > /dev/null || [ "$(id -u)" != 0 ] || install debootstrap
echo "$docker"
