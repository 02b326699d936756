#!/bin/sh
# Installs with apt what is missing of the given sections of packages.txt.
# usage: packages.sh SECTION...
set -eu

list=$(dirname "$0")/packages.txt

# The packages of one section that are not here yet.
missing() {
    awk -v want="[$1]" '/^\[/ { on = ($0 == want); next } on && NF && !/^#/' "$list" |
        while read -r package command; do
            if [ -n "$command" ] && command -v "$command" >/dev/null 2>&1; then
                continue
            fi
            dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed' ||
                echo "$package"
        done
}

if ! command -v apt-get >/dev/null 2>&1; then
    echo "No apt-get here: what $list names has to be there already." >&2
    exit 0
fi

packages=$(for section; do missing "$section"; done | sort -u | tr '\n' ' ')
[ -n "$packages" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "These packages are missing, and neither root nor sudo is there to install them:" >&2
        echo "  $packages" >&2
        exit 1
    fi
    sudo=sudo
fi

apt() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "Installing with apt: $packages"
# shellcheck disable=SC2086  # a list of words
if ! { apt update && apt install -y --no-install-recommends $packages; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "apt-get could not install what is missing." >&2
    exit 1
fi
