#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# image.sh OUT KERNELFOLDER PATH...
#
# Makes the initramfs OUT: busybox, the KVM modules, init, and each PATH (a file or folder of this
# repository) under /sempervm at the place that it has here.  What is in build/static takes the
# place of its namesake in build/: inside, build/sempervm is the static one.
set -eu
out=$1
kernel=$2
shift 2

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/modules" \
    "$root/root" "$root/sempervm"
cp /bin/busybox "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp "$kernel"/*.ko "$root/modules/"
cp tests/stock/init "$root/init"
chmod 755 "$root/init"
tar -c "$@" | tar -x -C "$root/sempervm"
if [ -d "$root/sempervm/build/static" ]; then
    mv "$root/sempervm/build/static"/* "$root/sempervm/build/"
    rmdir "$root/sempervm/build/static"
fi
# Symbols of the host programs are of no use inside; the guests' are (fault reports name them).
[ ! -e "$root/sempervm/build/sempervm" ] || strip "$root/sempervm/build/sempervm"
(cd "$root" && find . | cpio -o -H newc --quiet) >"$out.tmp"
mv "$out.tmp" "$out"
