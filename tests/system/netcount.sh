#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What a message to another node costs: exits to user space and frames, counted in runs by a seed,
# where they are the same on every host.  guest/bridge/README.md says what they are made of.
set -u
. tests/lib.sh
. tests/net/nodes.sh

missing=$(LOSSY=/bin/sh nodes_missing) # no bad network here
if [ -n "$missing" ]; then
    skip 'netcount' "$missing"
    exit 0
fi

# pairs WHAT PAIRS ROUNDS: netbench on two nodes.
pairs()
{
    {
        printf '[boot]\nimages = %s\n[run]\ntimeout = %s\nprefix = no\n' "$PWD/build/guest" "$VM_LIMIT"
        printf '[node 0]\npes = 1-%s\nlisten = 127.0.0.1:%s\nline = netbench %s %s %s %s\n' \
            "$2" "$port" "$1" $(($2 + 1)) "$2" "$3"
        printf '[node 1]\npes = %s-%s\nlisten = 127.0.0.1:%s\nline = netbench %s %s %s %s\n' \
            $(($2 + 1)) $((2 * $2)) $((port + 1)) "$1" $(($2 + 1)) "$2" "$3"
    } >"$T/machine.ini"
    vm run --seed 5 --stats "$T/machine.ini"
}

# Exits of PEs FROM..TO, all kinds; `exits` lines follow their PE's.
exits_of()
{
    cat "$T/out" "$T/err" | awk -v from="$1" -v to="$2" '
        /^PE [0-9]+: / { pe = $2 + 0 }
        /^NIC of PE / { pe = -1 }
        /^  exits / && pe >= from && pe <= to { for (i = 3; i <= NF; i += 2) sum += $i }
        END { print sum + 0 }'
}

frames_of()
{
    cat "$T/out" "$T/err" | sed -n "s/^NIC of PE $1: sent \([0-9]*\) frames.*/\1/p"
}

# at_most WHAT N OPERATIONS BOUND: N but for a start's START, in hundredths of an operation.
START=50
at_most()
{
    echo "    $1: $2 for $3 operations, at most $START and $4 in a hundred"
    [ "$2" -gt 0 ] || bad "$1: nothing was counted"
    [ $((($2 - START) * 100)) -le $(($4 * $3)) ] ||
        bad "$1: $2 for $3 operations, not $START and $4 in a hundred"
}

begin 'netcount: round trips'
pairs rtt 1 10
want_status 0
want_out '^BENCH net_rtt_64 [0-9]* 100:'
# 100, 20 to warm up, one to find the other side, and one that ends it.
at_most 'exits of the sender' "$(exits_of 1 1)" 122 66
at_most 'exits of the receiver' "$(exits_of 2 2)" 122 84
at_most 'exits of its bridge' "$(exits_of 1022 1022)" 122 208
at_most 'frames of its bridge' "$(frames_of 1022)" 122 68
end

begin 'netcount: messages of eight'
pairs rate 8 2
want_status 0
want_count 8 '^RATE 64 '
# Of the senders' a hundred are copying themselves to each other's PEs.
at_most 'exits of the senders' "$(exits_of 1 8)" 1041 15
at_most 'exits of the receivers' "$(exits_of 9 16)" 1041 26
at_most 'exits of their bridge' "$(exits_of 1022 1022)" 1041 13
at_most 'frames of their bridge' "$(frames_of 1022)" 1041 11
end

begin 'netcount: messages of eight, while others are unread'
pairs apart 8 2
want_status 0
want_count 8 '^RATE 64 '
# But the first of them, which ends the machine and waits for a while before.
at_most 'exits of the receivers' "$(exits_of 10 16)" 910 30
end
finish
