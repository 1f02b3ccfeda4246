#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Mapped memory gates: what they are for, what is refused, that revocation is immediate, and that
# there are none where there must not be.
set -u
. tests/lib.sh

begin 'mapped: both ways, permissions, refusals, revocation'
vm run --timeout "$VM_LIMIT" --mapped yes --pes 4 --stats -- kernel maptest
want_status 0
want_no_out 'FAIL'
want_count 28 'ok   '
want_out 'maptest: 120 trials, 0 late, 0 errors, 0 wrong$'
want_out 'maptest: 0 failed$'
# The VPE whose memory was revoked, each time while it wrote.
want_err '^  mapped    made 120 refused 0 revoked 120$'
end

for how in store hole; do
    begin "mapped: a fault is one PE's, alone ($how)"
    vm run --timeout "$VM_LIMIT" --mapped yes --pes 4 --no-prefix -- kernel maptest $how
    want_status 1
    want_no_out 'FAIL'
    want_count 4 'ok   '
    want_out 'maptest on PE 3 has crashed$'
    want_err 'PE 3: fault: an access to a page of a window where nothing is mapped, or a store'
    want_no_err 'PE [124]: fault'
    end
done

begin 'mapped: not unless asked for'
vm run --timeout "$VM_LIMIT" --pes 3 --stats -- kernel maptest
want_status 0
want_out 'nothing can be mapped here'
want_count 2 'ok   '
want_no_err '^  mapped '
end

begin 'mapped: not in a run by a seed, which is what it was'
vm run --timeout "$VM_LIMIT" --mapped yes --seed 1 --pes 3 -- kernel maptest
want_status 0
want_out 'nothing can be mapped here'
mv "$T/out" "$T/mapped"
vm run --timeout "$VM_LIMIT" --seed 1 --pes 3 -- kernel maptest
cmp -s "$T/mapped" "$T/out" || bad 'the run by the same seed differs'
end

begin 'mapped: not in a recorded run'
vm run --timeout "$VM_LIMIT" --mapped yes --trace "$T/trace" --pes 3 -- kernel maptest
want_status 0
want_out 'nothing can be mapped here'
end

# What follows is the library's, whatever the KVM; emulation would take minutes for it.
if [ "${STOCK:-no}" = yes ]; then
    skip 'mapped: beside rings, by files and pipes' 'seen on the KVM here'
    finish
fi

begin 'mapped: beside rings'
vm run --timeout "$VM_LIMIT" --mapped yes --rings yes --pes 4 -- kernel maptest
want_status 0
want_out 'maptest: 0 failed$'
end

begin 'mapped: PEs are used again'
vm run --timeout "$VM_LIMIT" --mapped yes --pes 9 --report=exits -- kernel multi 8 20
want_status 0
want_last_line '^8/8 PEs exited 0$'
end

begin 'mapped: files and pipes'
vm run --timeout "$VM_LIMIT" --mapped yes --stats demos/files.ini
want_status 0
want_no_out '^FAIL|did not end|heap use'
want_count 1 '^filetest: [1-9][0-9]* passed, 0 failed$'
want_count 1 '^shell: 17 passed, 0 failed$'
want_err '^  mapped    made [1-9][0-9]* refused 0 '
end

finish
