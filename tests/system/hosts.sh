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
hosts demos/dual-host.ini
want_status 0
want_last_line '^[0-9]+ passed, 0 failed$'
want_count 2 'link up node'
both_ways 2
end

begin 'hosts: three nodes on the loopback, all pairs'
NETNS=no
export NETNS
hosts demos/triple-host.ini
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
        printf '[run]\ntimeout = 300\nprefix = yes\n'
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
mkdir "$T/m"
cp demos/dual-host.ini "$T/m/"
printf '[link]\nkey = key\n' >>"$T/m/dual-host.ini"
i=0
while [ $i -lt 64 ]; do
    printf a
    i=$((i + 1))
done >"$T/m/key"
chmod 600 "$T/m/key"
hosts "$T/m/dual-host.ini" --images "${GUESTS:-build/guest}" --stats
want_status 0
want_last_line '^[0-9]+ passed, 0 failed$'
want_out 'sealed .*frame [0-9]+'
end

begin 'hosts: a key that others can read'
chmod 644 "$T/m/key"
vm run --node 0 --images "${GUESTS:-build/guest}" "$T/m/dual-host.ini"
want_status 2
want_one_line_err 'others than its owner'
end

begin 'hosts: an original split over nodes: the second has idle PEs only'
cat >"$T/m/split.ini" <<INI
[run]
timeout = 100
[node 0]
pes = 1-2
line = kernel hello
listen = 127.0.0.1:7840
[node 1]
pes = 3-4
listen = 127.0.0.1:7841
INI
"$SEMPERVM" run --node 1 --images "${GUESTS:-build/guest}" "$T/m/split.ini" >/dev/null 2>&1 &
other=$!
vm run --node 0 --prefix --images "${GUESTS:-build/guest}" "$T/m/split.ini"
kill "$other"
wait "$other" 2>/dev/null
want_status 0
want_out 'Hello World'
want_out 'kernel 0 on PE 1: 4 PEs'
end

# Refused, and it is said why.
begin 'hosts: two machine files'
for k in 0 1; do
    cat >"$T/m/differ$k.ini" <<INI
[run]
timeout = 100
[node 0]
pes = 1-2
line = linkhost 1 3
listen = 127.0.0.1:7842
[node 1]
pes = 3-$((4 + k))
line = linkhost 1 3
listen = 127.0.0.1:7843
INI
done
"$SEMPERVM" run --node 1 --images "${GUESTS:-build/guest}" "$T/m/differ1.ini" >/dev/null 2>&1 &
other=$!
mkfifo "$T/says"
"$SEMPERVM" run --node 0 --images "${GUESTS:-build/guest}" "$T/m/differ0.ini" >"$T/says" 2>/dev/null &
differs=$!
grep -m 1 'node 1 has another machine file: give all nodes the same one' "$T/says" >"$T/out"
kill "$other" "$differs" 2>/dev/null
wait "$other" "$differs" 2>/dev/null
last='sempervm run --node 0 differ0.ini'
want_count 1 'another machine file'
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
