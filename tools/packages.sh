#!/bin/sh
# Installs with apt what is missing of the given sections of packages.txt.
# usage: packages.sh SECTION...
set -eu

list=$(dirname "$0")/packages.txt

# Whether package $1 is here, in at least version $2 if that is given.
installed() {
    have=$(dpkg-query -W -f '${Status} ${Version}' "$1" 2>/dev/null) || return 1
    case $have in
    "install ok installed "*) ;;
    *) return 1 ;;
    esac
    [ -z "$2" ] || dpkg --compare-versions "${have##* }" ge "$2"
}

# What of one section is not here yet: "package", or "package version suite".
missing() {
    awk -v want="[$1]" '/^\[/ { on = ($0 == want); next } on && NF && !/^#/' "$list" |
        while read -r package how version suite; do
            if [ "$how" = ">=" ]; then
                installed "$package" "$version" || echo "$package $version $suite"
            elif [ -n "$how" ] && command -v "$how" >/dev/null 2>&1; then
                continue
            else
                installed "$package" "" || echo "$package"
            fi
        done
}

if ! command -v apt-get >/dev/null 2>&1; then
    echo "No apt-get here: what $list names has to be there already." >&2
    exit 0
fi

wanted=$(for section; do missing "$section"; done | sort -u)
[ -n "$wanted" ] || exit 0
packages=$(echo "$wanted" | cut -d' ' -f1 | tr '\n' ' ')

sudo=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "These packages are missing, and neither root nor sudo is there to install them:" >&2
        echo "  $packages" >&2
        exit 1
    fi
    sudo=sudo
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir "$work/sources"
cp -r /etc/apt/sources.list.d/. "$work/sources/" 2>/dev/null || true

apt() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -o Dir::Etc::SourceParts="$work/sources" \
        "$@" </dev/null
}

# Another suite of the archive that this machine has "main" from; only for this run of apt.
add_suite() {
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -f $keys ] && keys="[signed-by=$keys]" || keys=
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v suite="$1" -v base="${1%-*}" -v keys="$keys" '$2 == base && $3 == "main" {
            print "deb", keys, $1, suite, "main"; exit }' >"$work/sources/$1.list"
}

# What must be newer than this release has it, as "package/suite" for apt.
install_all() {
    apt update || return 1
    names=
    while read -r package version suite; do
        if [ -n "$version" ]; then
            candidate=$(apt-cache policy "$package" | sed -n 's/^  Candidate: //p')
            if ! dpkg --compare-versions "${candidate:-0}" ge "$version"; then
                add_suite "$suite"
                apt update || return 1
                apt install -y --no-install-recommends -t "$suite" "$package" || return 1
                continue
            fi
        fi
        names="$names $package"
    done <"$work/wanted"
    # shellcheck disable=SC2086  # a list of words
    [ -z "$names" ] || apt install -y --no-install-recommends $names
}

echo "$wanted" >"$work/wanted"
echo "Installing with apt: $packages"
if ! install_all >"$work/log" 2>&1; then
    tail -n 40 "$work/log" >&2
    echo "apt-get could not install what is missing." >&2
    exit 1
fi
