#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The original SemperOS, unmodified: SEMPEROS names a checkout of it that is built for gem5
# (M3_BUILD release, or what SEMPEROS_BUILD says).
set -u
. tests/lib.sh

if [ -z "${SEMPEROS:-}" ]; then
    skip test-semperos 'set SEMPEROS to a built SemperOS checkout'
    exit 0
fi
bin=$SEMPEROS/build/gem5-${SEMPEROS_BUILD:-release}/bin
if [ ! -x "$bin/kernel" ]; then
    echo "FAIL test-semperos: no $bin/kernel; is it built?"
    exit 1
fi

# run PES ARGUMENT...
run()
{
    pes=$1
    shift
    vm run --images "$bin" --pes "$pes" --timeout 90 "$@"
}

# Kernel 0 tells the others to shut down, does so itself and ends the machine, whether or not they
# have come to say it: once for kernel 0, at most once for each of the others.
want_shutdowns()
{
    want_count 1 'Shutting down kernel #0$'
    k=1
    while [ "$k" -lt "$1" ]; do
        n=$(grep -c "Shutting down kernel #$k\$" "$T/out")
        [ "$n" -le 1 ] || bad "kernel #$k shut down $n times"
        k=$((k + 1))
    done
    want_count "$1" 'Kernel #[0-9]+ \(running [0-9]+ kernel threads\) is ready'
}

# The client obtains and revokes N capabilities, the server revokes N: N - 1 rounds of each behind
# the first, with times that are not zero, and no failure.
want_capbench()
{
    want_out "capbench-client \[numcaps=$1\]"
    want_out "capbench-server \[numcaps=$1\]"
    want_count 1 'Warming up obtain: [1-9]'
    want_count 2 'Warming up revoke: [1-9]'
    i=1
    while [ "$i" -lt "$1" ]; do
        want_count 1 "Round $i obtain: [1-9][0-9]*$"
        want_count 2 "Round $i revoke: [1-9][0-9]*$"
        i=$((i + 1))
    done
    want_out 'Avg\. obtain time: [1-9]'
    want_out 'Avg\. revoke time: [1-9]'
    want_out 'Avg\. server revoke time: [1-9]'
    want_no_out 'failed|Error, got|Unable to'
    want_end
}

# A machine with a service ends in one of two ways, upstream too: as above, or because the server
# cannot be revoked while messages wait for it (semperos-platform 5).
want_end()
{
    want_last_line 'Error \(21\) during revocation of cap|Shutting down kernel #0$'
}

begin 'semperos: hello, boot/hello.cfg, one kernel'
run 16 "$SEMPEROS/boot/hello.cfg"
want_status 0
want_count 2 'Hello World'
want_shutdowns 1
end

begin 'semperos: hello, boot/hello2krnls.cfg, two kernels'
run 16 "$SEMPEROS/boot/hello2krnls.cfg"
want_status 0
want_count 2 'Hello World'
want_shutdowns 2
end

begin 'semperos: hello, nine kernels'
set --
for _ in 1 2 3 4 5 6 7 8; do
    set -- "$@" kernel hello pes=2 --
done
run 20 -- kernel "$@" hello
want_status 0
want_count 9 'Hello World'
want_shutdowns 9
end

begin 'semperos: capbench, local, 10 capabilities'
run 16 -- kernel capbench-client 10 requires=capbench-server -- capbench-server 10 daemon
want_status 0
want_capbench 10
end

begin 'semperos: capbench, spanning two kernels, 10 capabilities'
run 16 -- kernel kernel capbench-client 10 requires=capbench-server pes=2 -- \
    capbench-server 10 daemon
want_status 0
want_capbench 10
end

# boot/capbench.cfg is a script of its own: 100 capabilities, clients from the environment.
for clients in 0 1; do
    begin "semperos: boot/capbench.cfg, M3_CLIENTS=$clients"
    export M3_CLIENTS=$clients
    run 16 "$SEMPEROS/boot/capbench.cfg"
    want_status 0
    want_capbench 100
    end
done
unset M3_CLIENTS

begin 'semperos: capchain between two kernels, 10 links'
run 16 -- kernel kernel capchain-link 10 daemon pes=2 -- capchain-root 10 requires=capchain-link
want_status 0
want_out 'capchain-link \[numcaps=10\]'
want_out 'capchain-root \[numcaps=10\]'
want_count 1 'Avg\. server revoke time: [1-9]'
want_no_out 'failed|Error, got|Unable to'
end

begin 'semperos: captree, two clients on a second kernel'
run 16 -- kernel kernel captree-client 1 requires=captree-server repeat=2 pes=3 -- \
    captree-server 2 2 daemon
want_status 0
want_count 11 'Revoke [0-9]+: [1-9]'
want_count 1 'Avg\. server revoke time: [1-9]'
want_no_out 'failed|Error, got|Unable to'
end

# The original's programs on our kernel: a folder of links in which only kernel and idle are ours.
ours=$(dirname "$SEMPERVM")/guest
mixed=$T/mixed
mkdir "$mixed"
for f in "$bin"/*; do
    ln -s "$(realpath "$f")" "$mixed/"
done
for f in kernel idle; do
    ln -sf "$(realpath "$ours/$f")" "$mixed/$f"
done

# on_ours ARGUMENT...
on_ours()
{
    vm run --images "$mixed" --pes 16 --timeout 90 "$@"
    want_status 0
    want_no_out 'heap use|did not end|does not answer'
    want_no_err .
}

begin 'semperos: capbench on our kernel, 10 capabilities'
on_ours -- kernel capbench-client 10 requires=capbench-server -- capbench-server 10 daemon
want_out 'capbench-client \[numcaps=10\]'
want_count 1 'Warming up obtain: [1-9]'
want_count 2 'Warming up revoke: [1-9]'
i=1
while [ "$i" -lt 10 ]; do
    want_count 1 "Round $i obtain: [1-9][0-9]*$"
    want_count 2 "Round $i revoke: [1-9][0-9]*$"
    i=$((i + 1))
done
want_no_out 'failed|Error, got|Unable to|WARNING'
want_out 'Cap Server shut down \. Return code: No error'
want_last_line 'capbench-server on PE 3 ended, exit code 0'
end

begin 'semperos: captree on our kernel, two clients'
on_ours -- kernel captree-client 1 requires=captree-server repeat=2 -- captree-server 2 2 daemon
want_count 11 'Revoke [0-9]+: [1-9]'
want_count 1 'Avg\. server revoke time: [1-9]'
want_no_out 'failed|Error, got|Unable to'
end

begin 'semperos: pipes on our kernel'
on_ours -- kernel pipeserv daemon -- bench-pipe requires=pipe
want_count 1 '\[  direct\] Transferred 2097152b in 4096b steps: [1-9]'
want_count 1 '\[indirect\] Transferred 2097152b in 4096b steps: [1-9]'
end

begin 'semperos: capbench spanning two of our kernels'
on_ours -- kernel kernel capbench-client 10 requires=capbench-server pes=2 -- \
    capbench-server 10 daemon
want_count 9 'Round [1-9] obtain: [1-9][0-9]*$'
want_count 18 'Round [1-9] revoke: [1-9][0-9]*$'
want_no_out 'failed|Error, got|Unable to|WARNING'
end

# Machines with both kernels: the program on PE 1 is named, further kernels are the module `kernel`.
ln -s "$(realpath "$ours/kernel")" "$mixed/kernel-ours"
ln -s "$(realpath "$bin/kernel")" "$mixed/kernel-theirs"

# both FIRST FURTHER: FIRST starts FURTHER, the client runs on that one.
both()
{
    ln -sf "$(realpath "$mixed/kernel-$2")" "$mixed/kernel"
    vm run --images "$mixed" --pes 16 --timeout 90 -- "kernel-$1" \
        kernel capbench-client 10 requires=capbench-server pes=2 -- capbench-server 10 daemon
    ln -sf "$(realpath "$ours/kernel")" "$mixed/kernel"
    want_status 0
    want_count 9 'Round [1-9] obtain: [1-9][0-9]*$'
    want_count 18 'Round [1-9] revoke: [1-9][0-9]*$'
    want_out 'Avg\. server revoke time: [1-9]'
    want_no_out 'failed|Error, got|Unable to|heap use|on PE [0-9]+ is gone'
}

begin 'semperos: capbench, our kernel first, the original second'
both ours theirs
want_out 'Kernel # 1 msgs'
end

begin 'semperos: capbench, the original kernel first, ours second'
both theirs ours
want_out 'kernel 1 on PE'
want_end
end

image=$SEMPEROS/build/gem5-${SEMPEROS_BUILD:-release}/default.img
if [ -r "$image" ]; then
    size=$(stat -L -c %s "$image")
    # The sum that the original gets on its own kernel is the one that we want.
    begin 'semperos: m3fs and filechksum, on the original kernel and on ours'
    run 16 --fs "$image" -- kernel m3fs "$size" daemon -- \
        filechksum /movies/starwars.txt requires=m3fs
    sum=$(sed -n 's/.*\(Read [0-9]* bytes; checksum=[0-9]*\).*/\1/p' "$T/out")
    [ -n "$sum" ] || bad 'no checksum on the original kernel'
    on_ours --fs "$image" -- kernel m3fs "$size" daemon -- \
        filechksum /movies/starwars.txt requires=m3fs
    want_count 1 "^$sum$"
    end
else
    skip 'semperos: m3fs and filechksum' "no $image"
fi

# Our programs on the original kernel.
theirs=$T/theirs
mkdir "$theirs"
for f in kernel idle; do
    ln -s "$(realpath "$bin/$f")" "$theirs/"
done
for f in capserver capclient; do
    ln -s "$(realpath "$ours/$f")" "$theirs/"
done
begin 'semperos: our capserver and capclient on the original kernel'
vm run --images "$theirs" --pes 16 --timeout 90 -- kernel capclient 10 requires=capserver -- \
    capserver 10 daemon
want_status 0
want_out 'capclient: 9 rounds, avg\. obtain [1-9][0-9]* cycles, avg\. revoke [1-9][0-9]* cycles'
want_out 'capserver: 10 capabilities given, 10 revoked'
want_end
end

# ---- split over two nodes: kernel 0 boots kernel 1 on the other one, unaware of the network -----

# split WORDS: the boot line of node 0, on PEs 1-3; PEs 4 and 5 of node 1 are idle when it begins.
# The output is node 1's and then node 0's, whose end is the machine's, so node 1 ends, too: it is told,
# for its kernel 1 would wait for ever (upstream's apps/kernel/arch/baremetal/kernel.cc:44-49).
split()
{
    port=$((20000 + $$ % 20000))
    cat >"$T/split.ini" <<INI
[boot]
images = $bin
[run]
timeout = 180
[node 0]
pes = 1-3
line = $*
listen = 127.0.0.1:$port
[node 1]
pes = 4-5
listen = 127.0.0.1:$((port + 1))
INI
    "$SEMPERVM" run --node 1 "$T/split.ini" >"$T/other" 2>&1 </dev/null &
    other=$!
    VM_LIMIT=200
    vm run --node 0 "$T/split.ini"
    [ "$status" = 0 ] || kill "$other" 2>/dev/null
    wait "$other"
    other_status=$?
    cat "$T/other" "$T/out" >"$T/both"
    mv "$T/both" "$T/out"
}

if [ ! -e build/guest/bridge ]; then
    skip 'semperos: split over two nodes' 'no build/guest/bridge; it is built where the sources of lwIP can be had'
    finish
fi

begin 'semperos: hello, split: kernel 1 and its program on another node'
split kernel kernel hello pes=2 -- hello
want_status 0
[ "$other_status" = 0 ] || bad "node 1: exit status $other_status"
want_count 2 'Hello World'
want_shutdowns 2
want_count 1 'link up node 0'
end

begin 'semperos: capbench, split over two nodes, 10 capabilities'
split kernel kernel capbench-client 10 requires=capbench-server pes=2 -- capbench-server 10 daemon
want_status 0
[ "$other_status" = 0 ] || bad "node 1: exit status $other_status"
want_capbench 10
end

finish
