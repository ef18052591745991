#!/bin/sh
# Takes names of packages, installs them and leaves nothing else behind. Debian and Ubuntu; over a proxy of the
# environment, and with the certificates of the secret "ca" where that was given (docker build --secret id=ca,src=FILE).
set -eu
command -v apt-get > /dev/null || {
    echo "this base image has no apt-get: take one that is made of Debian or Ubuntu" >&2
    exit 1
}
export DEBIAN_FRONTEND=noninteractive
ca=/run/secrets/ca
apt() {
    apt-get -qq -o Dpkg::Use-Pty=0 $([ ! -s "$ca" ] || echo "-o Acquire::https::CAInfo=$ca") "$@"
}
apt update
apt install --yes --no-install-recommends "$@" > /dev/null
apt clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/apt /var/log/dpkg.log
