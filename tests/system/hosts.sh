#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Machines of several nodes, as `make dual-host` and `make triple-host` run them.
set -u
. tests/lib.sh

if [ ! -e "${GUESTS:-build/guest}/bridge" ]; then
    skip 'hosts' 'no build/guest/bridge; it is built where the sources of lwIP can be had'
    finish
fi

# hosts LIMIT FILE OPTION...: demos/hosts.sh, with its output where vm leaves it.
hosts()
{
    last="demos/hosts.sh $*"
    timeout -k 5 $((VM_LIMIT * 2)) sh demos/hosts.sh "$@" >"$T/out" 2>"$T/err" </dev/null
    status=$?
}

mkdir "$T/m"
images=$PWD/${GUESTS:-build/guest}

# demo NAME: demos/NAME.ini as $T/m/NAME.ini, with a link for which no host is too slow.
demo()
{
    sed "s/^\[run\]/[link]\noptions = dead=20000 boot=3600000\n&/; s/^timeout = .*/timeout = $((VM_LIMIT * 2))/
        s,^images.*,images = $images," "demos/$1.ini" >"$T/m/$1.ini"
}

# The lines that both directions must have.
both_ways()
{
    while read -r line; do
        [ "$(grep -c "ok  .*$line" "$T/out")" -ge "$1" ] || bad "not $1 times: $line"
    done <<LINES
its program answers
messages of 64 bytes answered
messages of 2048 bytes answered
64 KiB written to its memory
and read back as they were
memory gate: bounds
memory gate: permission
no credits
no space
VPE gone
no receive endpoint
LINES
}

SEMPERVM=$SEMPERVM
export SEMPERVM

begin 'hosts: two nodes, every kind of packet and every error, both ways'
demo dual-host
hosts "$T/m/dual-host.ini"
want_status 0
want_last_line '^[0-9]+ passed, 0 failed$'
want_count 2 'link up node'
both_ways 2
end

begin 'hosts: three nodes on the loopback, all pairs'
NETNS=no
export NETNS
demo triple-host
hosts "$T/m/triple-host.ini"
want_status 0
want_last_line '^[0-9]+ passed, 0 failed$'
want_count 6 'link up node'
want_out 'on the loopback'
both_ways 6
end

# 64 PEs and 8 bridges; one emulated processor takes minutes for them.
if [ "${STOCK:-}" != yes ]; then
    begin 'hosts: eight nodes on the loopback, all pairs'
    {
        printf '[link]\noptions = dead=20000 boot=3600000\n[run]\ntimeout = %d\n' $((VM_LIMIT * 2))
        printf 'prefix = yes\n'
        for k in 0 1 2 3 4 5 6 7; do
            printf '[node %d]\npes = %d-%d\nlisten = 127.0.0.1:%d\n' $k $((8 * k + 1)) $((8 * k + 8)) $((7860 + k))
            printf 'line = linkhost 1 9 17 25 33 41 49 57\n'
        done
    } >"$T/eight.ini"
    hosts "$T/eight.ini" --images "${GUESTS:-build/guest}"
    want_status 0
    want_last_line '^[0-9]+ passed, 0 failed$'
    want_count 56 'link up node'
    both_ways 56
    end
fi

begin 'hosts: sealed'
sed -i 's/^\[link\]/&\nkey = key/' "$T/m/dual-host.ini"
i=0
while [ $i -lt 64 ]; do
    printf a
    i=$((i + 1))
done >"$T/m/key"
chmod 600 "$T/m/key"
hosts "$T/m/dual-host.ini" --stats
want_status 0
want_last_line '^[0-9]+ passed, 0 failed$'
want_out 'sealed .*frame [0-9]+'
end

# bad_key RE: what `run` says of the key `check` says, too, without a machine.
bad_key()
{
    vm run --node 0 "$T/m/dual-host.ini"
    want_status 2
    want_one_line_err "key file .*/m/key: $1"
    vm check "$T/m/dual-host.ini"
    want_status 2
    want_one_line_err "dual-host.ini:[0-9]+: key file .*/m/key: $1"
}

begin 'hosts: the key, checked'
vm check "$T/m/dual-host.ini"
want_status 0
end

begin 'hosts: a key that others can read'
chmod 644 "$T/m/key"
bad_key 'others than its owner'
end

begin 'hosts: a key that is too short'
chmod 600 "$T/m/key"
echo abc >"$T/m/key"
bad_key 'want 32 bytes or 64 hexadecimal digits'
end

begin 'hosts: a key that is not there'
rm "$T/m/key"
bad_key 'no such file'
end

begin 'hosts: a key that is a folder'
mkdir -m 700 "$T/m/key"
bad_key 'want 32 bytes or 64 hexadecimal digits'
rmdir "$T/m/key"
end

# split PES LINE: node 0 has PEs 1 to PES and that boot line, node 1 the rest up to 4 and none.  Their
# outputs are in $T/out and $T/other, the exit status of node 1 in $other_status.
split()
{
    port=$((20000 + $$ % 20000))
    cat >"$T/m/split.ini" <<INI
[boot]
images = $images
[run]
timeout = $VM_LIMIT
[link]
options = dead=20000 boot=3600000
[node 0]
pes = 1-$1
line = $2
listen = 127.0.0.1:$port
[node 1]
pes = $(($1 + 1))-4
listen = 127.0.0.1:$((port + 1))
INI
    "$SEMPERVM" run --node 1 "$T/m/split.ini" >"$T/other" 2>&1 </dev/null &
    other=$!
    vm run --node 0 --prefix "$T/m/split.ini"
    wait "$other"
    other_status=$?
}

begin 'hosts: idle PEs only on the second node: they end with the machine'
split 2 'kernel hello'
want_status 0
want_out 'Hello World'
want_out 'kernel 0 on PE 1: 4 PEs'
[ "$other_status" = 0 ] || bad "node 1: exit status $other_status"
end

# Node 0's program ends when the other one has spoken to it, and not before.
begin 'hosts: and so does a program there that never ends'
split 2 'kernel forever await here -- forever call here daemon requires=here'
want_status 0
want_out 'started forever on PE 3'
[ "$other_status" = 0 ] || bad "node 1: exit status $other_status"
grep -q 'here for ever' "$T/other" || bad 'the program did not run on node 1'
end

begin 'hosts: their node has the status of the machine'
split 2 'kernel capclient 0'
want_status 1
[ "$other_status" = 1 ] || bad "node 1: exit status $other_status, not 1"
end

begin 'hosts: the same by a seed'
vm run --seed 3 "$T/m/split.ini"
want_status 1
sed -i 's/^line = .*/line = kernel forever await x -- forever call x daemon requires=x/' "$T/m/split.ini"
vm run --seed 3 "$T/m/split.ini"
want_status 0
want_out 'here for ever'
end

# seen RE FILE: a line, within VM_LIMIT seconds
seen()
{
    i=0
    until grep -q "$1" "$2" 2>/dev/null; do
        i=$((i + 1))
        [ $i -lt $((VM_LIMIT * 10)) ] || return 1
        sleep 0.1
    done
}

begin 'hosts: but not when the first node is lost: it may come back'
sed -i 's/^line = .*/line = kernel forever -- forever/; s/dead=20000/dead=2000/' "$T/m/split.ini"
"$SEMPERVM" run --node 1 "$T/m/split.ini" >"$T/other" 2>&1 </dev/null &
other=$!
"$SEMPERVM" run --node 0 "$T/m/split.ini" >"$T/out" 2>&1 </dev/null &
first=$!
seen 'here for ever' "$T/other" || bad 'node 1 does not run the program'
kill -9 "$first"
wait "$first" 2>/dev/null
seen 'node 0 is dead' "$T/other" || bad 'node 1 does not notice'
kill -0 "$other" 2>/dev/null || bad 'node 1 has ended'
kill "$other" 2>/dev/null
wait "$other" 2>/dev/null
end

# differ WHAT LAST PES OPTION...: node 1's file has its PEs up to LAST and PES in its line, and it has
# OPTIONs; node 0 refuses it and says WHAT is not the same.
differ()
{
    begin "hosts: two machine files: $1"
    for k in 0 1; do
        cat >"$T/m/differ$k.ini" <<INI
[boot]
images = $images
[run]
timeout = $VM_LIMIT
[node 0]
pes = 1-2
line = linkhost 1 3
listen = 127.0.0.1:7842
[node 1]
pes = 3-$([ $k = 0 ] && echo 4 || echo "$2")
line = linkhost 1 $([ $k = 0 ] && echo 3 || echo "$3")
listen = 127.0.0.1:7843
INI
    done
    what=$1
    shift 3
    "$SEMPERVM" run --node 1 "$@" "$T/m/differ1.ini" >/dev/null 2>&1 &
    other=$!
    rm -f "$T/says"
    mkfifo "$T/says"
    "$SEMPERVM" run --node 0 "$T/m/differ0.ini" >"$T/says" 2>/dev/null &
    differs=$!
    grep -m 1 'node 1 has another machine file' "$T/says" >"$T/out"
    kill "$other" "$differs" 2>/dev/null
    wait "$other" "$differs" 2>/dev/null
    last='sempervm run --node 0 differ0.ini'
    want_out "machine file: not the same $what; give all nodes the same one"
    end
}

differ 'PEs or addresses' 5 3
differ 'boot lines' 4 '3 5'
differ 'sizes of memories [(]spm, dram[)]' 4 3 --spm 9M
differ 'boot lines, sizes of memories [(]spm, dram[)]' 4 '3 5' --dram 7G

# At once, not when its time is up.
begin 'hosts: a bridge that cannot begin ends its node'
sed 's/^options = .*/options = nonsense/' "$T/m/triple-host.ini" >"$T/m/bad.ini"
vm run --node 1 "$T/m/bad.ini"
want_status 1
want_out 'PANIC: bad argument: nonsense'
want_one_line_err 'node 1 ends: its bridge, PE 1021, is over'
end

begin 'hosts: which node?'
vm run demos/dual-host.ini
want_status 2
want_one_line_err 'describes 2 nodes; say with --node'
end

for k in 16 x -1 ''; do
    begin "hosts: --node '$k': one line, not another that it is missing"
    vm run --node "$k" demos/dual-host.ini
    want_status 2
    want_one_line_err 'want a number from 0 to 15 or auto'
    end
done

begin 'hosts: check looks at all nodes'
vm check demos/triple-host.ini
want_status 0
want_out 'ok: 3 nodes'
end

begin 'hosts: hosts.sh says what is wrong'
hosts /nonexistent.ini
want_status 2
want_one_line_err 'cannot read /nonexistent.ini'
end

finish
