# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# For scripts with a NIC and one peer that sends each frame back (tests/net/framepeer.c); behind
# tests/lib.sh.
#
#   $udp $base          of `--nic`: two ports of our own on the loopback; $base is the NIC's
#   start_peer WORD...  the peer, with these arguments; returns when it is ready (udp), else at once
#   stop_peer           ends it, by its id; so does the script's end

PEER=${PEER_PROGRAM:-build/framepeer}
base=$((20000 + $$ % 20000))
# shellcheck disable=SC2034 # for who reads this
udp="udp=127.0.0.1:$base,peer=127.0.0.1:$((base + 1))"
peer=

stop_peer()
{
    [ -z "$peer" ] || kill "$peer" 2>/dev/null
    [ -z "$peer" ] || wait "$peer" 2>/dev/null
    peer=
}
trap 'stop_peer; rm -rf "$T"' EXIT

start_peer()
{
    : >"$T/peer"
    "$PEER" "$@" >"$T/peer" 2>&1 &
    peer=$!
    i=0
    while [ "$1" = udp ] && ! grep -q ready "$T/peer"; do
        i=$((i + 1))
        [ $i -lt $((VM_LIMIT * 10)) ] && kill -0 "$peer" 2>/dev/null || {
            bad "the peer does not start: $(cat "$T/peer")"
            break
        }
        sleep 0.1
    done
}
