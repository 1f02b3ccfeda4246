#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# kill -9 of a node in the middle of exchanges and revocations that span two nodes, COUNT (3) times,
# at random points.  The program on the surviving node compares what is left with its model each
# time, goes on with the node that was started again, and ends well; then its kernel finds its heap
# as it was after boot (it says so otherwise, and its status is not 0).
#
#   COUNT      kills (3)
#   KILL_SEED  for the moments (the clock)
set -u
. tests/lib.sh
COUNT=${COUNT:-3}
seed=${KILL_SEED:-$(date +%s)}

if [ ! -e "${GUESTS:-build/guest}/bridge" ]; then
    skip 'kill' 'no build/guest/bridge; it is built where the sources of lwIP can be had'
    finish
fi

begin "kill: a node in the middle of an exchange or revocation, $COUNT times (KILL_SEED=$seed)"
images=$(cd "${GUESTS:-build/guest}" && pwd)
last='sempervm run --node 0'
base=$((20000 + $$ % 20000))
sed -e "s,IMAGES,$images," -e "s/DEATHS/$COUNT/" -e "s/PORT0/$base/" -e "s/PORT1/$((base + 1))/" \
    tests/explore/forest-kill.ini >"$T/kill.ini"

"$SEMPERVM" run --node 0 "$T/kill.ini" >"$T/out" 2>"$T/err" </dev/null &
first=$!
second=
trap '[ -z "$second" ] || kill -9 "$second" 2>/dev/null; kill "$first" 2>/dev/null' EXIT

# waits FILE PATTERN N: until FILE has N lines of that; false: node 0 has ended, or it takes too long.
waits()
{
    turns=0
    while [ "$(grep -Ec "$2" "$1")" -lt "$3" ]; do
        turns=$((turns + 1))
        kill -0 "$first" 2>/dev/null && [ "$turns" -lt $((VM_LIMIT * 10)) ] || return 1
        sleep 0.1
    done
}

# A random number of milliseconds below 2000.
moment()
{
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    echo $((seed / 65536 % 2000))
}

n=0
while [ "$n" -lt "$COUNT" ]; do
    "$SEMPERVM" run --node 1 "$T/kill.ini" >"$T/node1" 2>&1 </dev/null &
    second=$!
    # Both clients are at work again, each with the other node's service.
    if ! waits "$T/node1" 'started capforest on PE 11' 1; then
        bad "kill $n: node 1 did not find node 0's service"
        break
    fi
    if ! waits "$T/out" 'is there again$' "$n"; then
        bad "kill $n: node 0 does not find node 1's service again"
        break
    fi
    ms=$(moment)
    sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
    kill -9 "$second"
    wait "$second" 2>/dev/null
    n=$((n + 1))
    # Sometimes it comes again before anybody has noticed.
    if [ $((ms % 2)) = 0 ] && ! waits "$T/out" '^capforest: .* died \(' "$n"; then
        bad "kill $n: node 0 does not notice, or does not survive"
        break
    fi
done
# The last life, for what node 0 does in the end.
if [ -z "$reason" ]; then
    "$SEMPERVM" run --node 1 "$T/kill.ini" >"$T/node1" 2>&1 </dev/null &
    second=$!
    waits "$T/out" '^capforest: .* survived' 1 || bad 'node 0 does not come to its end'
    wait "$first"
    status=$?
    kill -9 "$second" 2>/dev/null
    wait "$second" 2>/dev/null
    second=
    want_status 0
    want_out "^capforest: client 1: survived $COUNT deaths, 0 wrong\$"
    want_count "$COUNT" '^capforest: .* died \(.*, 0 wrong$'
    want_no_out 'heap use|should be gone|is missing|PANIC'
fi
end
finish
