#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# All nodes of a machine in one process, on a simulated wire: the same seed is the same run, also
# when the wire loses, doubles and reorders frames and when a node crashes and begins again.
set -u
. tests/lib.sh

if [ ! -e "${GUESTS:-build/guest}/bridge" ]; then
    skip 'wire' 'no build/guest/bridge; it is built where the sources of lwIP can be had'
    finish
fi

bad_wire=loss=0.2,dup=0.1,reorder=0.3,stall=0.002

# seeded SEED OPTION...: to $hash
seeded()
{
    seed=$1
    shift
    vm run --seed "$seed" --timeout "$VM_LIMIT" "$@"
    hash=$(sed -n 's/^trace hash \([0-9a-f]\{16\}\)$/\1/p' "$T/out")
}

begin 'wire: without a seed a node must be named'
vm run demos/dual-host.ini
want_status 2
want_one_line_err '--node .*--seed'
end

begin 'wire: two nodes, both test each other'
seeded 1 --trace "$T/trace" demos/dual-host.ini
want_status 0
want_count 2 '[1-9][0-9]* passed, 0 failed$'
first=$hash
seeded 1 demos/dual-host.ini
[ -n "$hash" ] && [ "$hash" = "$first" ] || bad "$last: $first, then $hash"
seeded 2 demos/dual-host.ini
want_status 0
[ "$hash" != "$first" ] || bad "$last: the hash of another seed"
end

begin 'wire: the trace names nodes and frames'
vm trace --op node "$T/trace"
want_out 'NODE .*of node 0$'
want_out 'NODE .*of node 1$'
vm trace --op wire "$T/trace"
want_out 'WIRE .*frame [0-9]+$'
end

begin 'wire: replayed from its trace'
vm replay "$T/trace"
want_status 0
want_no_err 'differs'
want_out "^trace hash $first\$"
vm replay --until 500 "$T/trace"
want_status 0
want_count 2 '^DTUs at step 500$'
want_out '^PE 9, '
end

for seed in 1 2 3; do
    begin "wire: loss, duplicates, reordering and stalls, seed $seed"
    seeded $seed --stats --faults $bad_wire --trace "$T/bad" demos/dual-host.ini
    want_status 0
    want_count 2 '[1-9][0-9]* passed, 0 failed$'
    want_err '^wire: frames .* lost [1-9][0-9]* doubled [1-9][0-9]* held back [1-9]'
    first=$hash
    vm replay "$T/bad"
    want_status 0
    want_out "^trace hash $first\$"
    end
done

begin 'wire: a frame of a node, by step'
seeded 1 --trace "$T/one" --faults loss=1@400 demos/dual-host.ini
want_status 0
vm trace --op inject "$T/one"
want_count 1 'INJECT .*frame lost$'
end

# The test programs are not made for it: what counts is that the other node notices and goes on.
begin 'wire: a node is lost and begins again'
seeded 1 --trace "$T/down" --faults down=1@2000,up=1@2500 demos/dual-host.ini
want_out 'node 1 is back'
first=$hash
vm trace --op inject "$T/down"
want_out 'node is lost$'
want_out 'node starts again$'
seeded 1 --faults down=1@2000,up=1@2500 demos/dual-host.ini
[ -n "$hash" ] && [ "$hash" = "$first" ] || bad "$last: $first, then $hash"
end

begin 'wire: a node is lost for good'
seeded 1 --faults down=1@2000,up=0 demos/dual-host.ini
want_no_out 'node 1 is back'
want_out 'node 1 is dead'
end

begin 'wire: nobody carries the packets: who waits for what'
sed "s/^\[run\]/[link]\nprogram = idle\n&/; s,^images.*,images = ${GUESTS:-$PWD/build/guest}," \
    demos/dual-host.ini >"$T/idle.ini"
seeded 1 "$T/idle.ini"
want_status 5
want_err '^  PE 1, VPE [0-9]+: waits for packet [0-9]+ to PE 9$'
want_err '^  PE 9, VPE [0-9]+: waits for packet [0-9]+ to PE 1$'
end

# Bridges and kernels look after each other for ever; programs that wait for what nobody offers are
# found out all the same.
cat >"$T/nobody.ini" <<INI
[boot]
images = ${GUESTS:-$PWD/build/guest}
[run]
prefix = yes
[node 0]
pes    = 1-2
line   = kernel id=0 peer=1@5 hostpair test first nobody 1 requires=nobody
listen = 127.0.0.1:7830
[node 1]
pes    = 5-6
line   = kernel id=1 peer=0@1 hostpair serve second
listen = 127.0.0.1:7831
INI
begin 'wire: programs that wait for nobody, while bridges and kernels go on'
seeded 1 --timeout 500 "$T/nobody.ini"
want_status 5
want_err 'deadlock'
want_err '^  PE 6, VPE [0-9]+: waits for a message on endpoint'
end

if [ "${STOCK:-}" != yes ]; then
    begin 'wire: a client whose service is lost for good is told'
    seeded 1 --timeout 500 --faults down=1@5000,up=0 demos/dual-kernels.ini
    want_out '^.PE 3. hosttest: [0-9]+ passed, [1-9][0-9]* failed$'
    want_status 1
    end
fi

begin 'wire: three nodes'
seeded 1 --faults $bad_wire demos/triple-host.ini
want_status 0
want_count 3 '[1-9][0-9]* passed, 0 failed$'
end

begin 'wire: explored'
one=$VM_LIMIT
VM_LIMIT=$((one * 3))
vm explore --seeds 1..2 --fresh --dir "$T/explore" --faults $bad_wire -- --timeout "$one" \
    demos/dual-host.ini
VM_LIMIT=$one
want_status 0
end

for faults in loss=2 dup=1@ down=x up=-1 stall=1@2@3 lost=0.1; do
    begin "wire: refused: --faults $faults"
    vm run --seed 1 --faults $faults demos/dual-host.ini
    want_status 2
    want_one_line_err "$faults"
    end
done

finish
