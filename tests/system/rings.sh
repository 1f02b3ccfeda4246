#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Messages without exits: that they are, that they are not where they must not be, and hostile PEs.
set -u
. tests/lib.sh

begin 'rings: used for messages and system calls'
vm run --timeout "$VM_LIMIT" --pes 3 --stats -- kernel ringbench 10
want_status 0
want_out '^.*BENCH msg_rtt_64 '
want_err '^  rings     sent [1-9][0-9]* received [1-9]'
# The kernel took its system calls from rings: traps are the exception.
awk '/^PE 1:/ { k = 1 } /^PE 2:/ { k = 0 }
     k && /messages  sent/ { traps = $7 } k && /rings/ { rings = $5 }
     END { exit !(rings > 10 * traps) }' "$T/err" || bad 'most system calls were traps'
end

# Two kernels, a service of the second and a client of the first: what the first sends.
begin 'rings: used by kernels for kernel calls'
vm run --timeout "$VM_LIMIT" --pes 5 --stats -- kernel kernel kernbench serve daemon pes=2 -- \
    kernbench session 20 requires=kernbench
want_status 0
awk '/^PE 1:/ { k = 1 } /^PE 2:/ { k = 0 }
     k && /messages  sent/ { traps += $3 } k && /rings/ { rings += $3 }
     END { exit !(rings > 1000 && rings > 20 * traps) }' "$T/err" || bad 'kernel calls were traps'
end

begin 'rings: not with --rings no'
vm run --rings no --timeout "$VM_LIMIT" --pes 3 --stats -- kernel multi 2 10
want_status 0
want_no_err '^  rings '
end

begin 'rings: not in a run by a seed'
vm run --timeout "$VM_LIMIT" --seed 1 --stats demos/multi-2.ini
want_status 0
want_no_err '^  rings '
end

begin 'rings: not in a recorded run'
vm run --timeout "$VM_LIMIT" --trace "$T/trace" --stats demos/multi-2.ini
want_status 0
want_no_err '^  rings '
end

begin 'rings: a PE that writes into what it shares'
vm run --timeout "$VM_LIMIT" --pes 5 -- kernel ringattack
want_status 0
want_count 6 'ok   '
want_no_out 'FAIL'
want_last_line '0 failed$'
end

begin "rings: a PE that writes to another's page is over, alone"
vm run --timeout "$VM_LIMIT" --pes 5 -- kernel ringattack peer
want_count 6 'ok   '
want_no_out 'FAIL|[1-9] failed$'
want_err 'PE 2: fault: '
want_out 'ringattack on PE 2 has crashed$'
end

begin 'rings: VPEs come and go'
vm run --timeout "$VM_LIMIT" --pes 17 --report=exits -- kernel multi 16 20
want_status 0
want_last_line '^16/16 PEs exited 0$'
end

# Tests what the DTU promises, so both ways must pass.
for rings in yes no; do
    begin "rings: $rings: gates are revoked and VPEs come and go, and no message is lost"
    [ $rings = yes ] && set -- 3 20 || set -- 2 5
    vm run --timeout "$VM_LIMIT" --rings $rings --pes 9 -- kernel ringstress "$@"
    want_status 0
    want_last_line '; 0 clients failed, 0 messages wrong$'
    end
done

finish
