#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# lwip.sh FOLDER
#
# Puts lwIP's sources into FOLDER: Debian's source package, by apt-get from the archives that this
# machine uses anyway (their list is copied, with `deb-src` for `deb`; the system's own list and
# package indices stay as they are).  A package that lies in FOLDER/.. already is taken.  Only the
# file with the checksum below is unpacked; Debian's patches concern parts that are not used.
# Says in one line what is missing when that fails; exit status 1.
set -u
version=2.1.3+dfsg1-2
file=lwip_2.1.3+dfsg1.orig.tar.xz
sum=0a8276d09fc4e97bbba2f953d74af2388fc2195ea156be9d7589e297a68fde24
here=$1

fail()
{
    echo "lwip: $*; guest/bridge cannot be built" \
        "(make dual-host and the tests of links between nodes need it)" >&2
    exit 1
}

[ -f "$here/.unpacked" ] && exit 0
mkdir -p "$here" || fail "cannot create $here"
top=$(cd "$here/.." && pwd)

fetch()
{
    command -v apt-get >/dev/null 2>&1 || fail "no apt-get here; put $file into $top"
    tmp=$(mktemp -d) || fail 'no temporary folder'
    trap 'rm -rf "$tmp"' EXIT
    chmod 755 "$tmp"
    mkdir -p "$tmp/lists/partial" "$tmp/cache/archives/partial" "$tmp/sources"
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -f "$f" ] && sed 's/^Types:.*/Types: deb-src/' "$f" >"$tmp/sources/${f##*/}"
    done
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$f" ] && sed -n 's/^deb /deb-src /p' "$f" >"$tmp/sources/${f##*/}.list"
    done
    set -- -q -o "Dir::State::lists=$tmp/lists" -o "Dir::Cache=$tmp/cache" \
        -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$tmp/sources" \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=60 -o APT::Sandbox::User=root
    echo "lwip: fetching Debian's source package"
    timeout 300 apt-get "$@" update >"$tmp/log" 2>&1 </dev/null
    (cd "$tmp" && timeout 300 apt-get "$@" source --download-only "lwip=$version" \
        >>"$tmp/log" 2>&1 </dev/null)
    [ -f "$tmp/$file" ] || fail "apt-get source lwip=$version: $(grep -E '^[EW]:' "$tmp/log" |
        tail -n 1)"
    mv "$tmp/$file" "$top/$file" || fail "cannot write to $top"
}

[ -f "$top/$file" ] || fetch
if [ "$(sha256sum <"$top/$file")" != "$sum  -" ]; then
    mv "$top/$file" "$top/$file.bad"
    fail "$file has another checksum than it should (now $file.bad)"
fi
tar -xJf "$top/$file" -C "$here" --strip-components=1 || fail "$file cannot be unpacked"
touch "$here/.unpacked"
