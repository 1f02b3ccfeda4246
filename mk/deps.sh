#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# deps.sh GROUP PACKAGE...
#
# Makes sure that Debian packages are installed.  One dpkg-query when they are; apt-get when some
# are missing and this user may install; otherwise one line that names them, and exit status 1.
# DEPS=skip in the environment trusts the user (hosts without dpkg).
set -u
group=$1
shift

if [ "${DEPS:-}" = skip ]; then
    exit 0
fi
if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "deps: no dpkg here; install the counterparts of: $*" >&2
    echo "deps: then run make DEPS=skip" >&2
    exit 1
fi

have=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package} ' "$@" 2>/dev/null)"
missing=
for p; do
    case $have in
    *" "?"i $p "*) ;;
    *) missing="$missing $p" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    sudo=
elif sudo -n true 2>/dev/null; then
    sudo='sudo -n'
else
    echo "deps: the $group needs packages that are missing; run:" \
        "apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

echo "deps: installing for the $group:$missing"
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt="$sudo apt-get -y -q -o DPkg::Lock::Timeout=300"
# The package lists of a new machine are empty or old: fetch them only when they do not suffice.
# shellcheck disable=SC2086 # $apt and $missing are lists
if ! $apt install --no-install-recommends $missing >"$log" 2>&1 </dev/null; then
    $apt update >>"$log" 2>&1 </dev/null
    if ! $apt install --no-install-recommends $missing >>"$log" 2>&1 </dev/null; then
        tail -n 5 "$log" >&2
        echo "deps: apt-get could not install:$missing" >&2
        exit 1
    fi
fi
