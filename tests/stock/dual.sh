#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# dual.sh [FILE...]
#
# Two hosts, one NoC, on stock KVM: two machines under QEMU, each with Debian's kernel and kvm_amd
# and running one node of a machine file (demos/dual-host.ini, demos/dual-kernels.ini) as its user
# would, by what `PEER=ADDRESS NODE=K make dual-host` runs, joined by their own e1000s: QEMU's, with
# Linux' driver and its UDP stack.  `make test-dual-stock` builds
# what it needs.
set -u
. tests/lib.sh

LIMIT=${DUAL_LIMIT:-900} # seconds for a machine; only ends what hangs
# Emulated processors stand still for long: a node is dead after a minute, not after 2 s.
OPTIONS='dead=60000'
[ $# -gt 0 ] || set -- demos/dual-host.ini demos/dual-kernels.ini

pids=
stop()
{
    # shellcheck disable=SC2086 # a list
    [ -z "$pids" ] || kill $pids 2>/dev/null
    # Each takes its machine with it.
    # shellcheck disable=SC2086
    [ -z "$pids" ] || wait $pids 2>/dev/null
    rm -rf "$T"
}
trap stop EXIT

if [ ! -e build/guest/bridge ]; then
    skip 'dual-stock' 'no build/guest/bridge; it is built where the sources of lwIP can be had'
    finish
fi

# Two UDP ports next to each other that nobody has; the kernel lists them in hexadecimal.
free_ports()
{
    port=$((20000 + $$ % 10000))
    while cat /proc/net/udp /proc/net/udp6 2>/dev/null |
        grep -Eq "^ *[0-9]+: [0-9A-F]+:($(printf '%04X|%04X' $port $((port + 1)))) "; do
        port=$((port + 2))
        [ $port -lt 40000 ] || {
            echo "FAIL dual-stock: no UDP ports are free"
            exit 1
        }
    done
}

# machine K FILE: node K of FILE in a machine of its own, to which node 1 - K is 10.0.0.(2 - K).  It
# begins once the other answers, for the nodes' own patience is not meant for kernels that boot.
machine()
{
    k=$1
    o=$((1 - k))
    sh tests/stock/run.sh -t "$LIMIT" -f "$2" -n "10.0.0.$((k + 1))/24,52:54:00:00:00:0$k,dgram,\
local.type=inet,local.host=127.0.0.1,local.port=$((port + k)),\
remote.type=inet,remote.host=127.0.0.1,remote.port=$((port + o))" \
        timeout -k 5 "$LIMIT" sh -c "i=0
until ping -c 1 -W 2 10.0.0.$((o + 1)) >/dev/null 2>&1; do
    i=\$((i + 1))
    [ \$i -lt 200 ] || { echo 'the other machine does not answer'; exit 1; }
done
PEER=10.0.0.$((o + 1)) NODE=$k sh demos/hosts.sh '${2#/}' --images build/guest --timeout $LIMIT" \
        >"$T/out.$k" 2>"$T/err.$k" </dev/null &
    pids="$pids $!"
}

# What hosts.sh on node K counted: its last line is `N passed, N failed`.
counts()
{
    n=$(sed -n '$s/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p' "$T/out.$1")
    echo "${n:-0 1}"
}

# Who ends last may find the other dead; before the programs of node K have counted, nobody may.
dead_too_soon()
{
    sed '/[0-9] passed, [0-9][0-9]* failed$/,$d' "$T/out.$1" | grep -Eq 'node [0-9]+ is dead'
}

# Both machines of FILE; $broken: one of them did not get as far as its command.
both() # FILE
{
    free_ports
    pids=
    machine 0 "$1"
    machine 1 "$1"
    k=0
    broken=
    for p in $pids; do
        wait "$p"
        eval "status$k=$?"
        eval "[ \$status$k != 125 ] || broken=yes"
        pids=${pids#* "$p"}
        k=$((k + 1))
    done
    pids=
}

# dual FILE
dual()
{
    begin "dual-stock: $1"
    last="the two nodes of $1"
    ini=$T/${1##*/}
    { cat "$1" && printf '\n[link]\noptions = %s\n' "$OPTIONS"; } >"$ini"
    both "$ini"
    if [ -n "$broken" ]; then
        echo "     a machine under QEMU did not boot: $(tail -q -n 1 "$T"/err.? | head -n 1); again"
        both "$ini"
    fi
    total=
    for k in 0 1; do
        # shellcheck disable=SC2046 # two numbers
        set -- "$1" $(counts $k)
        eval "status=\$status$k"
        [ "$status" = 0 ] || bad "node $k: exit status $status"
        [ "$3" = 0 ] || bad "node $k: $3 failed"
        [ "$2" -gt 0 ] || bad "node $k: tested nothing"
        grep -q "link up node $((1 - k))" "$T/out.$k" || bad "node $k: no link"
        ! dead_too_soon $k || bad "node $k: took the other for dead while both ran"
        total="${total:+$total and }$2"
    done
    cat "$T/out.0" "$T/out.1" >"$T/out"
    cat "$T/err.0" "$T/err.1" >"$T/err"
    test_name="$test_name, a machine under QEMU for each node ($total tests passed)"
    [ -z "${DUAL_SHOW:-}" ] || cat "$T/out"
    end
}

for f; do
    dual "$f"
done

finish
