#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Programs that move between kernels while they run (demos/roam.ini): they notice nothing.
set -u
. tests/lib.sh

# moves N M: in that run at least N VPEs moved, in both directions, and all went well.
moves()
{
    want_status 0
    want_count 2 '^hosttest: 38 passed, 0 failed$'
    want_out '^capclient: 19 rounds, avg\. obtain [1-9][0-9]* cycles'
    want_out '^capserver: 20 capabilities given, 20 revoked'
    want_count 2 '^kernel [01]: [0-9]+ VPEs moved to other kernels, [0-9]+ stayed$'
    want_out '^kernel 0: [1-9][0-9]* VPEs moved to other kernels'
    want_no_out 'FAIL|heap use|did not end|on PE [0-9]+ is gone|did not start'
}

begin 'roam: two services and their clients, which change kernels'
vm run --timeout "$VM_LIMIT" demos/roam.ini
moves
end

begin 'roam: without rings'
vm run --rings no --timeout "$VM_LIMIT" demos/roam.ini
moves
end

begin 'roam: by 20 seeds'
for seed in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    vm run --seed "$seed" --timeout "$VM_LIMIT" demos/roam.ini
    moves
done
end

begin 'roam: three kernels, each call of one of them another move'
vm run --pes 16 --timeout "$VM_LIMIT" -- kernel roam=1 \
    kernel roam=3 hosttest test requires=hosttest ++ hosttest serve second pes=4 -- \
    kernel roam=2 hosttest test second requires=second ++ hosttest serve third pes=4 -- \
    hosttest serve -- hosttest test third requires=third
want_status 0
want_count 3 '^hosttest: 38 passed, 0 failed$'
want_count 3 '^kernel [0-2]: [0-9]+ VPEs moved to other kernels, [0-9]+ stayed$'
want_no_out 'FAIL|heap use|did not end|on PE [0-9]+ is gone|did not start'
end

begin 'roam: a number that is none'
for word in roam= roam=0 roam=x roam=12345678; do
    vm run --pes 4 --timeout "$VM_LIMIT" -- kernel "$word" hello
    [ "$status" != 0 ] || bad "$word is taken"
done
vm check --pes 6 -- kernel kernel roam=none hello pes=2 -- hello
[ "$status" != 0 ] || bad 'roam=none is taken'
end

finish
