#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# `PEER=ADDRESS NODE=K make dual-host`: two hosts, each with a node that its own user starts, as far as
# one host can show it (tests/stock/dual.sh has two); and what a user is told when the other node does
# not come.
set -u
. tests/lib.sh
. tests/net/nodes.sh

missing=$(nodes_missing)
if [ -n "$missing" ]; then
    skip peers "$missing"
    finish
fi
program=$SEMPERVM

# ini KEY LAST OPTION...: a machine file; sealed by the file KEY unless that is empty; node 1 has PEs 9
# to LAST
ini()
{
    printf '[boot]\nimages = %s\n[run]\ntimeout = %s\n[link]\n' "$PWD/build/guest" $((VM_LIMIT * 2))
    [ -z "$1" ] || echo "key = $1"
    last=$2
    shift 2
    echo "options = $*"
    printf '[node 0]\npes = 1-8\nline = linkhost 1 9\nlisten = 127.0.0.1:%s\n' "$port"
    printf '[node 1]\npes = 9-%s\nline = linkhost 1 9\nlisten = 127.0.0.1:%s\n' "$last" $((port + 1))
}

# A `sempervm` of which we know the process.
cat >"$T/sempervm" <<SH
#!/bin/sh
echo \$\$ >"$T/pid"
exec "$program" "\$@"
SH
chmod 755 "$T/sempervm"

# by_user K PEER FILE OPTION...: node K of FILE in the background; output in $T/nodeK
by_user()
{
    k=$1
    p=$2
    shift 2
    PEER=$p NODE=$k SEMPERVM=${by:-$program} sh demos/hosts.sh "$@" >"$T/node$k" 2>&1 </dev/null &
    eval "pid$k=$!"
}

begin 'peers: each node by its own user, with PEER and NODE'
ini '' 16 "dead=$DEAD_MS boot=3600000" >"$T/good.ini"
by_user 0 127.0.0.1 "$T/good.ini"
by_user 1 127.0.0.1 "$T/good.ini"
for k in 0 1; do
    node_wait $k
    tail -n 1 "$T/node$k" | grep -Eq '^[1-9][0-9]* passed, 0 failed$' || bad "node $k: no success"
done
cat "$T/node0" "$T/node1" >"$T/out"
want_count 2 '^hosts: node [01] here, the others at 127.0.0.1$'
end

# told WHAT PEER: node 0, whose user calls the other one PEER, says WHAT; then it is ended, and its last
# line but one is the reason.  Node 1 was started before, or nobody is there; who of the two is ready
# first does not matter.
told()
{
    by=$T/sempervm by_user 0 "$2" "$T/a.ini"
    by=
    wait_for 1 "$1" "$T/node0" && kill "$(cat "$T/pid")"
    wait "$pid0"
    status=$?
    pid0=
    node_kill 1
    last="hosts.sh, PEER=$2"
    mv "$T/node0" "$T/out"
    want_status 1
    want_last_line '^0 passed, 1 failed$'
    tail -n 2 "$T/out" | grep -q "^FAIL node 0: ended with status 143: $1" || bad "the end does not say: $1"
}

# other FILE OPTION...: node 1, in the background
other()
{
    "$program" run --node 1 "$@" >"$T/node1" 2>&1 </dev/null &
    pid1=$!
}

ini '' 16 'dead=20000 boot=500' >"$T/a.ini"

begin 'peers: nobody is there'
told 'node 1 is not there.*: nothing was heard from it: is it started' 127.0.0.9
end

begin 'peers: a name that nobody has'
told 'cannot find node 1 at nobody.invalid' nobody.invalid
want_out 'is the name right'
end

ini '' 16 'dead=20000 boot=3600000' >"$T/a.ini"

begin 'peers: another machine file'
ini '' 15 'dead=20000' >"$T/b.ini"
other "$T/b.ini"
told 'node 1 has another machine file: not the same PEs or addresses' 127.0.0.1
end

begin 'peers: another version of the link'
# Between them stands who changes the digit.
"$LOSSY" version=48 "node=127.0.0.1:$((port + 2)),127.0.0.1:$port" \
    "node=127.0.0.1:$((port + 3)),127.0.0.1:$((port + 1))" >"$T/lossy" 2>&1 &
lossy_pid=$!
wait_for 1 '^ready' "$T/lossy"
other --peer "0=127.0.0.1:$((port + 2))" "$T/good.ini"
told 'node 1 speaks another version of the link protocol' "127.0.0.1:$((port + 3))"
lossy_end
end

begin 'peers: it speaks from another address than we know'
other --listen "127.0.0.5:$((port + 1))" "$T/good.ini"
told 'datagrams come from an address that is no node' 127.0.0.1
end

for k in 1 2; do
    head -c 32 /dev/urandom >"$T/key$k"
    chmod 600 "$T/key$k"
done
ini key1 16 'dead=20000' >"$T/b.ini"

begin 'peers: the other node has a key, this one has none'
other "$T/b.ini"
told 'what other nodes send is sealed and this node has no key' 127.0.0.1
end

begin 'peers: the other node has no key'
ini key1 16 'dead=20000' >"$T/a.ini"
other "$T/good.ini"
told 'datagrams come that are not sealed with the key of .*/key1: give all nodes the same key file' 127.0.0.1
end

begin 'peers: the other node has another key'
ini key2 16 'dead=20000' >"$T/a.ini"
other "$T/b.ini"
told 'datagrams come that are not sealed with the key of .*/key2: give all nodes the same key file' 127.0.0.1
end

finish
