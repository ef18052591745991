#!/bin/sh
# Takes a name and a version, builds both images: NAME:VERSION and NAME:latest, and NAME:VERSION-sidecar.
set -eu

usage() {
    cat << 'END'
usage: ./build.sh [--ca FILE] IMAGE_NAME IMAGE_VERSION [DOCKER BUILD ARGUMENT…]

Builds two images, and does nothing else:

  IMAGE_NAME:IMAGE_VERSION           Triton, Prometheus and the bridge; also tagged IMAGE_NAME:latest
  IMAGE_NAME:IMAGE_VERSION-sidecar   Prometheus and the bridge, to run beside a Triton

  --ca FILE    certificates (PEM) to trust while building, such as a proxy's; no layer keeps them
  --help       this text

What follows the version goes to docker build as it is. Base images are build arguments:

  --build-arg TRITON_IMAGE=nvcr.io/nvidia/tritonserver:26.07-py3
  --build-arg PROMETHEUS_IMAGE=docker.io/prom/prometheus:v3.5.3
  --build-arg PYTHON_IMAGE=docker.io/library/python:3.12.11-slim-bookworm

Proxies (http_proxy, https_proxy, no_proxy) and pip's index (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_TRUSTED_HOST) are
taken from the environment. DOCKER names another client than docker.
END
}

die() {
    echo "build.sh: $*" >&2
    exit 2
}

ca=
while :; do
    case ${1:-} in
        --help | -h) usage && exit ;;
        --ca)
            ca=${2:-}
            [ -s "$ca" ] || die "--ca '$ca': no such file, or it is empty"
            shift 2
            ;;
        -*) die "$1 is not known before IMAGE_NAME; see ./build.sh --help" ;;
        *) break ;;
    esac
done
[ $# -ge 2 ] || die "give IMAGE_NAME and IMAGE_VERSION, such as ./build.sh registry.example.com/triton-bridge 1.0; see --help"
name=$1 version=$2
shift 2

# The grammar is that of the distribution project's references, which docker itself takes.
host='([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]+)?/)?'
part='[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*'
echo "$name" | grep -Eqx "$host$part(/$part)*" ||
    die "'$name' is not an image name: lower case, digits, '.', '_', '-' and '/', without a tag, such as team/triton-bridge"
echo "$version" | grep -Eqx '[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,119}' ||
    die "'$version' is not a tag: at most 120 letters, digits, '_', '.', '-'; '.' and '-' not first"

docker=${DOCKER:-docker}
command -v "$docker" > /dev/null || die "there is no '$docker' on the PATH: install Docker, or name a client with DOCKER=…"
"$docker" version > /dev/null 2>&1 || die "'$docker' reaches no engine: start it, or ask to be let at it (group docker)"
export DOCKER_BUILDKIT=1
"$docker" build --help 2> /dev/null | grep -q -- --secret ||
    die "'$docker' has no BuildKit: install its buildx plugin (Debian: docker-buildx), or name a client with DOCKER=…"

for variable in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY \
    PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST; do
    eval "given=\${$variable:-}"
    [ ! "$given" ] || set -- --build-arg "$variable" "$@" # by name: no value is seen among the processes
done
[ ! "$ca" ] || set -- --secret "id=ca,src=$ca" "$@"
root=$(dirname "$0")
revision=$(git -C "$root" rev-parse HEAD 2> /dev/null) && [ ! "$(git -C "$root" status --porcelain)" ] || revision=
[ ! "$revision" ] || set -- --label "org.opencontainers.image.revision=$revision" "$@"

build() {
    "$docker" build --file "$root/docker/Dockerfile" --build-arg "VERSION=$version" "$@" "$root"
}
build --target sidecar --tag "$name:$version-sidecar" "$@"
build --target bundle --tag "$name:$version" --tag "$name:latest" "$@"
echo "built $name:$version, $name:latest and $name:$version-sidecar"
