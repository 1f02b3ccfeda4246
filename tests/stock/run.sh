#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh [-t SECONDS] [-f FILE]... [-n ADDRESS/BITS,MAC,NETDEV] COMMAND [ARGUMENT...]
#
# Runs COMMAND in a virtual machine: Debian's kernel with its own kvm_amd under QEMU's emulated
# SVM.  No /dev/kvm is needed for it.  The folder inside looks like this repository (see
# image.sh; run `make stock-image` first); every -f FILE is put there too.  -n gives the machine an
# e1000 as its eth0, with that address; NETDEV is what QEMU's -netdev takes.  Output, errors and
# exit status are the command's own.  125: the machine itself failed; 124: SECONDS were not enough.
set -u
build=${STOCK_BUILD:-build/stock}
limit=300
files=
net=
while getopts t:f:n: opt; do
    case $opt in
    t) limit=$OPTARG ;;
    f) files="$files $OPTARG" ;;
    n) net=$OPTARG ;;
    *) exit 125 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || {
    echo "usage: tests/stock/run.sh [-t SECONDS] [-f FILE]... [-n ADDRESS/BITS,MAC,NETDEV]" \
        "COMMAND [ARGUMENT...]" >&2
    exit 125
}
[ -e /dev/kvm ] || echo "stock: no /dev/kvm here; using kvm_amd in a machine under QEMU" >&2

tmp=$(mktemp -d) || exit 125
qemu=
out=
err=
cleanup()
{
    # shellcheck disable=SC2086 # those that there are
    [ -z "$qemu$out$err" ] || kill $qemu $out $err 2>/dev/null
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The command goes in as a second archive behind the first; the kernel unpacks both.
mkdir "$tmp/root"
for a; do
    printf "'%s' " "$(printf %s "$a" | sed "s/'/'\\\\''/g")"
done >"$tmp/root/command"
echo >>"$tmp/root/command"
for f in $files; do
    mkdir -p "$tmp/root/sempervm/$(dirname "$f")"
    cp -r "$f" "$tmp/root/sempervm/$f" || exit 125
done
(cd "$tmp/root" && find . | cpio -o -H newc --quiet) >"$tmp/cmd.cpio"
cat "$build/image.cpio" "$tmp/cmd.cpio" >"$tmp/initrd" || exit 125

# The kernel hands eth0=... on to init, in its environment.
set --
eth0=
if [ -n "$net" ]; then
    eth0=" eth0=${net%%,*}"
    net=${net#*,}
    set -- -device "e1000,netdev=n,mac=${net%%,*},romfile=" -netdev "${net#*,},id=n"
fi

mkfifo "$tmp/out" "$tmp/err"
cat "$tmp/out" &
out=$!
cat "$tmp/err" >&2 &
err=$!
# no_timer_check: while a busy host lets QEMU stand still at the wrong moment the kernel would find
# that its timer does not work, and panic.
# Each serial port has an interrupt of its own: QEMU's ISA interrupts are not shared.  One thread
# emulates both processors: with thread=multi QEMU 7.2 now and then (1 run in 4 under load) leaves
# one of them halted for good.
timeout --foreground -k 5 "$limit" qemu-system-x86_64 -accel tcg,thread=single \
    -cpu EPYC,+svm,+npt -smp 2 -m "${STOCK_MEM:-1024}" -display none -no-reboot -nodefaults \
    -chardev "file,id=con,path=$tmp/console" -device isa-serial,chardev=con,index=0 \
    -chardev "file,id=out,path=$tmp/out" -device isa-serial,chardev=out,index=1 \
    -chardev "file,id=err,path=$tmp/err" -device isa-serial,chardev=err,index=2,irq=5 \
    -kernel "$build/vmlinuz" -initrd "$tmp/initrd" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check$eth0" "$@" </dev/null >"$tmp/qemu" 2>&1 &
qemu=$!
wait "$qemu"
ended=$?
qemu=
# Had it never opened them, the readers would wait for ever: opened for both, a pipe never blocks.
exec 8<>"$tmp/out" 9<>"$tmp/err"
exec 8>&- 9>&-
wait "$out" "$err"
out=
err=

status=$(tr -d '\r' <"$tmp/console" | sed -n 's/^init: command ended with status \([0-9]*\)$/\1/p')
if [ -n "$status" ]; then
    exit "$status"
fi
grep -v 'TCG doesn.t support' "$tmp/qemu" >&2
tail -n 15 "$tmp/console" >&2
if [ "$ended" = 124 ]; then
    echo "stock: the machine under QEMU was stopped after $limit s" >&2
    exit 124
fi
echo "stock: the machine under QEMU ended without running the command (status $ended)" >&2
exit 125
