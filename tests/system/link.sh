#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Nodes on loopback, joined by their bridges: traffic in both directions, every error code, a bad
# network, hostile datagrams, nodes that die and come back.
#
#   LINK_SENDERS=N    PEs of each of the two nodes that send through the bad networks, all at the same
#                     time (default 4; `make test-link-long`: 16, at most 16)
#   LINK_MESSAGES=N   messages that each of them sends (default 250; test-link-long: 3,125, which are
#                     100,000 in all)
#   LINK_KILLS=N      how often a node is killed (default 6; test-link-long: 100)
#   LINK_SEED=N       of the bad network
#   LINK_PARTS=WORDS  some only: errors loss dup reorder stall all flood kills echo
set -u
. tests/lib.sh
. tests/net/nodes.sh

messages=${LINK_MESSAGES:-250}
kills=${LINK_KILLS:-6}
seed=${LINK_SEED:-1}
senders=${LINK_SENDERS:-4}
parts=${LINK_PARTS:-errors loss dup reorder stall all flood kills echo}

part() # NAME: is it asked for?
{
    case " $parts " in
    *" $1 "*) return 0 ;;
    esac
    return 1
}

missing=$(nodes_missing)
if [ -n "$missing" ]; then
    skip 'link' "$missing"
    exit 0
fi

# ---- both directions, every error ----

errors()
{
    begin 'link: traffic and errors, both directions'
    machine 'linktest 200 errors 1:9' 'linktest 200 errors 1:9'
    nodes_run
    want_count 1 'link up node 0 at'
    want_count 1 'link up node 1 at'
    want_count 2 '^linktest: 18 passed, 0 failed$'
    want_count 2 ': 200 messages to PE [19] in 1 sessions, 200 from it'
    want_no_out 'FAIL|lost PE'
    cp "$T/out" "$T/kept"
    end

    while read -r line; do
        begin "link: $line"
        [ "$(grep -c "^ok   $line\$" "$T/kept")" = 2 ] || bad 'not on both nodes'
        end
    done <<LINES
a message across
no credits across
a message that is larger than the slot across
no space across
VPE gone across
an endpoint that does not receive across
an endpoint that is none across
a PE that no node has
reading a register across
setting an endpoint across
the endpoint reads as written
reading from a VPE that is gone across
writing to a VPE that is gone across
writing beyond the end across
memory of a PE that no node has
writing where reading is allowed across
LINES
}

! part errors || errors

# ---- a bad network ----

# A list of PEs from A to B, separated by SEP: seq_list SEP A B
seq_list()
{
    i=$2
    while [ "$i" -le "$3" ]; do
        printf '%s%s' "$i" "$([ "$i" = "$3" ] || printf '%s' "$1")"
        i=$((i + 1))
    done
}

# Who ends first stays a little, or the other one's last word, whose outcome does not count, has no
# end before that one is dead.
linger=3

# bad_network PART NAME ARGUMENTS RE: all of it arrives once, in order; the proxy says RE.
bad_network()
{
    part "$1" || return 0
    shift
    begin "link: $1"
    LOSSY_ARGS="$2 seed=$seed"
    NODE_PES=$((senders + 2))
    far=$((NODE_PES + 2))
    pairs=
    i=1
    while [ "$i" -le "$senders" ]; do
        pairs="$pairs $i:$((far + i))"
        i=$((i + 1))
    done
    options="linger=$linger silent=$NODES_LIMIT"
    machine "linktest $messages $options start=$(seq_list , 2 "$senders")$pairs" \
        "linktest $messages $options start=$(seq_list , $((far + 2)) $((far + senders)))$pairs"
    [ "$messages" -lt 1000 ] || NODES_PROGRESS='[0-9]+000 messages to PE'
    nodes_run
    NODES_PROGRESS=
    LOSSY_ARGS=
    NODE_PES=6
    want_count 2 '^linktest: 1 passed, 0 failed$'
    want_count $((2 * senders)) ": $messages messages to PE [0-9]+ in 1 sessions, $messages from it"
    want_no_out 'FAIL|lost PE'
    want_out "$3"
    test_name="$test_name ($((2 * senders * messages)) messages)"
    end
}

# In the emulated machine there is time for the worst one only.
if [ "${STOCK:-}" = yes ]; then
    messages=30
    bad_network all 'loss, duplicates, reordering and stalls' \
        'loss=20 dup=10 reorder=50 stall=200' ' lost, .* doubled, .* held back, .* stalls'
    finish
fi

bad_network loss '20 % loss' 'loss=20' '[1-9][0-9]* lost'
bad_network dup '10 % duplicates' 'dup=10' '[1-9][0-9]* doubled'
bad_network reorder 'reordering over 50' 'reorder=50' '[1-9][0-9]* held back'
bad_network stall 'stalls of 200 ms' 'stall=200' '[1-9][0-9]* stalls'
bad_network all 'loss, duplicates, reordering and stalls' 'loss=20 dup=10 reorder=50 stall=200' \
    '[1-9][0-9]* lost, [1-9][0-9]* doubled, [1-9][0-9]* held back, [1-9][0-9]* stalls'
bad_network flood 'a flood of hostile datagrams' "flood=${LINK_FLOOD:-2000}" '[1-9][0-9]{3,} hostile'

# ---- nodes that die ----

# Node 2 is killed again and again, at any time; nodes 0 and 1 see it, lose nothing between
# themselves, and take it back.
kills()
{
    begin "link: node 2 killed $kills times under load"
    DEAD_MS=8000
    NODES_LIMIT=$((300 + 60 * kills))
    machine 'linktest 0 start=2 1:9 2:17 10:18' 'linktest 0 start=10 1:9 2:17 10:18' \
        'linktest 0 start=18 1:9 2:17 10:18'
    rm -f "$T"/node*
    for k in 0 1 2; do
        node_start "$k"
    done
    wait_for 1 'link up node 2' "$T/node0" && wait_for 1 'link up node 2' "$T/node1" &&
        wait_for 1 'PE 2: PE 17 answers' "$T/node0" && wait_for 1 'PE 10: PE 18 answers' "$T/node1"
    round=1
    dead=0
    while [ "$round" -le "$kills" ] && [ -z "$reason" ]; do
        # From 0 to 1.5 s, a function of the round.
        sleep "$(awk -v n="$round" 'BEGIN { printf "%.2f", n * 0.618034 % 1 * 1.5 }')"
        node_kill 2
        # Every other time it is back before anybody can have noticed.
        if [ $((round % 2)) = 1 ]; then
            dead=$((dead + 1))
            wait_for "$dead" 'node 2 is dead' "$T/node0"
            wait_for "$dead" 'node 2 is dead' "$T/node1"
        fi
        node_start 2
        for k in 0 1; do
            wait_for "$round" 'node 2 is back' "$T/node$k"
        done
        wait_for $((round + 1)) 'PE 2: PE 17 answers' "$T/node0"
        wait_for $((round + 1)) 'PE 10: PE 18 answers' "$T/node1"
        [ $((round % 10)) != 0 ] || echo "     $round of $kills times killed so far"
        round=$((round + 1))
    done
    for k in 0 1; do
        eval "kill -0 \$pid$k" 2>/dev/null || bad "node $k is gone"
    done
    # And the other two went on meanwhile.
    n=$(grep -c 'PE 1: [0-9]* messages to PE 9 in session 1' "$T/node0")
    wait_for $((n + 1)) 'PE 1: [0-9]* messages to PE 9 in session 1' "$T/node0"
    end_all
    cat "$T"/node? >"$T/out"
    want_no_out 'FAIL'
    want_no_out 'lost PE (1|9) |node [01] is (dead|back)'
    end
}

! part kills || kills

# ---- a stranger's Ethernet ----

# The bridge's program as a mere neighbour, with one of the test's own at the other end of the cable.
if [ -x "$NEIGHBOUR" ] && part echo; then
    begin 'link: the echo on UDP as its Ethernet'
    sed "s/127.0.0.1:5001/127.0.0.1:$((port + 20))/; s/127.0.0.1:5002/127.0.0.1:$((port + 21))/
        s,\.\./build,$PWD/build," demos/echo.ini >"$T/machine.ini"
    "$SEMPERVM" run "$T/machine.ini" >"$T/out" 2>&1 </dev/null &
    pid0=$!
    timeout -k 5 "$NODES_LIMIT" "$NEIGHBOUR" $((port + 21)) $((port + 20)) 2000 >"$T/neighbour" 2>&1 ||
        bad "the neighbour: $(grep -v PASS "$T/neighbour" | head -n 1)"
    [ "$(grep -c '^PASS' "$T/neighbour")" = 7 ] || bad 'the neighbour: not seven tests'
    node_kill 0
    end
fi

finish
