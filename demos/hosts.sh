#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# hosts.sh FILE [OPTION...]
#
# Runs the nodes of a machine file, a sempervm each: in network namespaces that are joined by a
# bridge where this user may make them, else all on the loopback; it says which.  OPTIONs go to
# every `sempervm run`.  Ends with `N passed, N failed` over all nodes and, if one failed, status 1.
#
#   PEER=ADDRESS[:PORT]    only our node runs, the other one is on that machine.  Of more than two
#                          nodes say which: PEER="1=ADDRESS 2=ADDRESS:PORT"
#   NODE=K                 with PEER: the number of our node (0); "0 2" runs both here
#   NETNS=no               do not try namespaces
#   SEMPERVM               the program (build/sempervm)
set -u
SEMPERVM=${SEMPERVM:-build/sempervm}
[ $# -gt 0 ] || {
    echo "usage: demos/hosts.sh FILE [OPTION...]" >&2
    exit 2
}
file=$1
shift
[ -r "$file" ] || {
    echo "hosts: cannot read $file" >&2
    exit 2
}

# Number and UDP port of each node.
nodes=$(sed -n -e 's/^\[node *\([0-9]*\)\].*/node \1/p' \
    -e 's/^listen *= *.*:\([0-9]*\) *$/port \1/p' "$file" |
    awk '$1 == "node" { k = $2 } $1 == "port" { print k ":" $2 }')
all=$(echo "$nodes" | sed 's/:.*//')
port() # node
{
    echo "$nodes" | sed -n "s/^$1://p"
}

T=$(mktemp -d) || exit 1
ns=
cleanup()
{
    for f in "$T"/pid.*; do
        [ ! -s "$f" ] || kill "$(cat "$f")" 2>/dev/null
    done
    for n in $ns; do
        ip netns del "$n" 2>/dev/null
    done
    rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start K COMMAND...: its output goes on ours and is kept.
start()
{
    k=$1
    shift
    {
        "$@" 2>&1 &
        echo $! >"$T/pid.$k"
        wait $!
        echo $? >"$T/status.$k"
        : >"$T/pid.$k"
    } | tee "$T/out.$k" &
    pids="${pids:-} $!"
}

# ---- where the nodes run ---------------------------------------------------------------------

# A namespace for each node and one for the switch between them; 10.84.0.(K+1).
make_namespaces()
{
    [ "${NETNS:-yes}" = yes ] && command -v ip >/dev/null 2>&1 || return 1
    sw=svm$$-sw
    ip netns add "$sw" 2>/dev/null || return 1
    ns=$sw
    ip -n "$sw" link add br0 type bridge 2>/dev/null && ip -n "$sw" link set br0 up || return 1
    for k in $all; do
        n=svm$$-$k
        ip netns add "$n" || return 1
        ns="$ns $n"
        ip -n "$n" link add eth0 type veth peer name "p$k" netns "$sw" 2>/dev/null &&
            ip -n "$sw" link set "p$k" master br0 up &&
            ip -n "$n" addr add "10.84.0.$((k + 1))/24" dev eth0 &&
            ip -n "$n" link set eth0 up && ip -n "$n" link set lo up || return 1
    done
}

in_namespaces()
{
    echo "hosts: $(echo "$all" | wc -w) nodes in network namespaces, joined by a bridge"
    for k in $all; do
        set -- "$@" --peer "$k=10.84.0.$((k + 1)):$(port "$k")"
    done
    for k in $all; do
        start "$k" ip netns exec "svm$$-$k" "$SEMPERVM" run --node "$k" \
            --listen "10.84.0.$((k + 1)):$(port "$k")" "$@" "$file"
    done
}

on_loopback()
{
    echo "hosts: $(echo "$all" | wc -w) nodes on the loopback (no network namespaces here)"
    for k in $all; do
        start "$k" "$SEMPERVM" run --node "$k" "$@" "$file"
    done
}

# The address of node K in PEER, with the port of the file unless it has one.
peer_of()
{
    for p in $(echo "$PEER" | tr ',' ' '); do
        case $p in
        "$1="*) p=${p#*=} ;;
        *=*) continue ;;
        esac
        case $p in
        \[*\]:* | [!\[]*:[0-9]*) echo "$p" ;;
        *) echo "$p:$(port "$1")" ;;
        esac
        return
    done
}

with_peer()
{
    ours=${NODE:-0}
    any=0.0.0.0
    for k in $all; do
        case " $ours " in
        *" $k "*) continue ;;
        esac
        at=$(peer_of "$k")
        [ -n "$at" ] || {
            echo "hosts: PEER says nothing about node $k; give PEER=\"... $k=ADDRESS\"" >&2
            exit 2
        }
        case $at in
        \[*) any='[::]' ;;
        esac
        set -- "$@" --peer "$k=$at"
    done
    echo "hosts: node $ours here, the others at $PEER"
    for k in $ours; do
        start "$k" "$SEMPERVM" run --node "$k" --listen "$any:$(port "$k")" "$@" "$file"
    done
}

if [ -n "${PEER:-}" ]; then
    with_peer "$@"
elif make_namespaces; then
    in_namespaces "$@"
else
    on_loopback "$@"
fi

# ---- what came of it -------------------------------------------------------------------------

# shellcheck disable=SC2086 # a list
wait $pids
failed=0
passed=0
for f in "$T"/out.*; do
    k=${f##*.}
    counts=$(sed -n 's/^\(.*\] \)\{0,1\}\([a-z]*: \)\{0,1\}\([0-9]*\) passed, \([0-9]*\) failed$/\3 \4/p' \
        "$f" | awk '{ p += $1; f += $2 } END { if (NR) print p, f }')
    status=$(cat "$T/status.$k")
    if [ -z "$counts" ] || { [ "$status" != 0 ] && [ "${counts#* }" = 0 ]; }; then
        # What it said about the others, the most telling last.
        why=$(sed -n -e 's/.*\(node [0-9]* is not there\) at [0-9.]* s\(: .*\)/1 \1\2/p' \
            -e 's/.*\(node [0-9]* speaks another version .*\)/4 \1/p' \
            -e 's/.*\(node [0-9]* has another machine file: .*\)/4 \1/p' \
            -e 's/^sempervm: \(cannot find node .*\); trying again$/2 \1: is the name right?/p' \
            -e 's/^sempervm: \(what other nodes send .*\)/3 \1/p' \
            -e 's/^sempervm: \(datagrams come .*\)/3 \1/p' "$f" | sort | sed -n '$s/^. //p')
        echo "FAIL node $k: ended with status $status${counts:+ after $counts}${why:+: $why}"
        failed=$((failed + 1))
    fi
    if [ -n "$counts" ]; then
        passed=$((passed + ${counts% *}))
        failed=$((failed + ${counts#* }))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
