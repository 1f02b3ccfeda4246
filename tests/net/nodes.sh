# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# For scripts that run several nodes on loopback (tests/system/link*.sh); behind tests/lib.sh.
#
#   machine LINE...      writes $T/machine.ini: a node per LINE, all with direct addresses, or with
#                        LOSSY_ARGS set through a bad network (tests/net/lossy.c); who is silent
#                        for DEAD_MS is dead
#   node_start K         starts node K; output in $T/node$K; node_kill K ends it with -9
#   nodes_run            starts all of them, waits for their ends, at most NODES_LIMIT seconds each
#                        with NODES_PROGRESS=RE says every 30 s how many lines match it so far
#   wait_for N RE FILE   until N lines of FILE match, at most WAIT_LIMIT seconds; else a failure
#
# Programs are ended by their ids, whatever happens.

# In the machine under QEMU the static programs are one folder up (tests/stock/image.sh).
static=build/static
[ -d "$static" ] || static=build
LOSSY=${LOSSY:-$static/lossy}
NEIGHBOUR=${NEIGHBOUR:-$static/neighbour}
NODES_LIMIT=${NODES_LIMIT:-300}
WAIT_LIMIT=${WAIT_LIMIT:-300}
LOSSY_ARGS=
DEAD_MS=20000 # a loaded host stops a process for seconds
NODE_PES=6 # of each node
NODES_PROGRESS=
nodes=0
progress_pid=
lossy_pid=
port=$((20000 + $$ % 4000 * 10))

end_all()
{
    k=0
    while [ "$k" -lt 9 ]; do
        node_kill "$k"
        k=$((k + 1))
    done
    [ -z "$lossy_pid" ] || kill "$lossy_pid" 2>/dev/null
    [ -z "$progress_pid" ] || kill "$progress_pid" 2>/dev/null
    lossy_pid=
    progress_pid=
}
trap 'end_all; rm -rf "$T"' EXIT

# Reasons not to run at all, in one line; nothing if all is well.
nodes_missing()
{
    if [ ! -f "${BRIDGE:-build/guest/bridge}" ]; then
        echo 'no bridge: its sources could not be fetched (make bridge says why)'
    elif [ ! -x "$LOSSY" ]; then
        echo "no $LOSSY"
    elif ! grep -q '^ *lo:' /proc/net/dev 2>/dev/null; then
        echo 'no loopback interface'
    fi
}

# Node k's memory is PE (NODE_PES + 2)k, its PEs are those behind it: with 6 of them memory is 8k, and
# 8k+1 to 8k+6 are its PEs.  Bridges have the default's.
machine()
{
    stride=$((NODE_PES + 2))
    port=$((port + 10))
    nodes=$#
    {
        printf '[machine]\nspm = 8M\n[boot]\nimages = %s\n[run]\ntimeout = %s\n' \
            "$PWD/build/guest" "$NODES_LIMIT"
        printf '[link]\noptions = dead=%s boot=3600000\n' "$DEAD_MS"
        k=0
        for line; do
            at=$((port + k))
            [ -z "$LOSSY_ARGS" ] || at=$((at + 5))
            printf '[node %s]\npes = %s-%s\nmemory = %s\nline = %s\n' \
                "$k" $((stride * k + 1)) $((stride * k + NODE_PES)) $((stride * k)) "$line"
            printf 'listen = 127.0.0.1:%s\nat = 127.0.0.1:%s\n' $((port + k)) "$at"
            k=$((k + 1))
        done
    } >"$T/machine.ini"
    [ -n "$LOSSY_ARGS" ] || return 0
    args=
    k=0
    while [ "$k" -lt "$nodes" ]; do
        args="$args node=127.0.0.1:$((port + k + 5)),127.0.0.1:$((port + k))"
        k=$((k + 1))
    done
    # shellcheck disable=SC2086 # lists
    "$LOSSY" $LOSSY_ARGS $args >"$T/lossy" 2>&1 &
    lossy_pid=$!
    wait_for 1 '^ready' "$T/lossy"
}

node_start()
{
    "$SEMPERVM" run --node "$1" "$T/machine.ini" >>"$T/node$1" 2>&1 </dev/null &
    eval "pid$1=$!"
}

node_kill()
{
    eval "p=\${pid$1:-}"
    [ -n "$p" ] || return 0
    kill -9 "$p" 2>/dev/null
    wait "$p" 2>/dev/null
    eval "pid$1="
}

node_wait()
{
    eval "p=\$pid$1"
    wait "$p"
    status=$?
    eval "pid$1="
    last="node $1"
    [ "$status" = 0 ] || bad "node $1: exit status $status, not 0"
}

# The proxy's last words; it must have done something.
lossy_end()
{
    [ -n "$lossy_pid" ] || return 0
    kill "$lossy_pid"
    wait "$lossy_pid" || bad 'lossy: did not end well'
    lossy_pid=
}

progress()
{
    while sleep 30; do
        echo "     $(cat "$T"/node* | grep -Ec -e "$NODES_PROGRESS") lines /$NODES_PROGRESS/ so far"
    done
}

nodes_run()
{
    k=0
    rm -f "$T"/node*
    while [ "$k" -lt "$nodes" ]; do
        node_start "$k"
        k=$((k + 1))
    done
    if [ -n "$NODES_PROGRESS" ]; then
        progress &
        progress_pid=$!
    fi
    k=0
    while [ "$k" -lt "$nodes" ]; do
        node_wait "$k"
        k=$((k + 1))
    done
    [ -z "$progress_pid" ] || kill "$progress_pid" 2>/dev/null
    progress_pid=
    lossy_end
    cat "$T"/node* >"$T/out"
    [ ! -f "$T/lossy" ] || cat "$T/lossy" >>"$T/out"
    rm -f "$T/lossy"
}

wait_for()
{
    tries=0
    while n=$(grep -Ec -e "$2" "$3" 2>/dev/null) || :; [ "${n:-0}" -lt "$1" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt $((WAIT_LIMIT * 10)) ]; then
            bad "${3##*/}: ${n:-0} lines /$2/ after $WAIT_LIMIT s, not $1"
            return 1
        fi
        sleep 0.1
    done
}
