#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# kernel.sh FOLDER
#
# Puts Debian's own kernel into FOLDER: vmlinuz, the modules that make /dev/kvm on an emulated AMD
# processor, and the driver of an 82540EM.  The package is downloaded and unpacked, never installed.
set -eu
out=$1
mkdir -p "$out"
[ ! -e "$out/vmlinuz" ] || [ ! -e "$out/e1000.ko" ] || exit 0

die()
{
    echo "stock: $*" >&2
    exit 1
}

kernel_package()
{
    apt-cache depends linux-image-amd64 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"

# Package lists of a new machine are empty or old: fetch them only when they do not suffice.
pkg=$(kernel_package)
if [ -z "$pkg" ] || ! (cd "$tmp" && apt-get -q download "$pkg") >"$tmp/log" 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        apt-get -q update >"$tmp/log" 2>&1 || true
    else
        sudo -n apt-get -q update >"$tmp/log" 2>&1 || true
    fi
    pkg=$(kernel_package)
    [ -n "$pkg" ] || die "apt knows no package linux-image-amd64; run: apt-get update"
    (cd "$tmp" && apt-get -q download "$pkg") >"$tmp/log" 2>&1 || {
        tail -n 3 "$tmp/log" >&2
        die "cannot download the package $pkg"
    }
fi

dpkg --fsys-tarfile "$tmp"/linux-image-*.deb |
    tar -x -C "$tmp" --wildcards './boot/vmlinuz*' '*/irqbypass.ko' '*/ccp.ko' '*/kvm.ko' \
        '*/kvm-amd.ko' '*/e1000.ko' || die "cannot unpack $pkg"
find "$tmp/lib" -name '*.ko' -exec mv {} "$out/" \;
mv "$tmp"/boot/vmlinuz* "$out/vmlinuz"
echo "stock: $pkg unpacked in $out"
