#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# `make run-kernel`: the system calls and the DTU's promises, one line each.
set -u
. tests/lib.sh

begin 'run-kernel: all tests pass'
vm run --timeout "$VM_LIMIT" demos/run-kernel.ini
want_status 0
want_last_line ' passed, 0 failed$'
want_no_out 'FAIL'
want_no_err .
cp "$T/out" "$T/kept"
end

# What issue 2 lists, each as a line of the run above.
while read -r line; do
    begin "run-kernel: $line"
    grep -Eq "ok +$line" "$T/kept" || bad 'no such line'
    end
done <<LINES
NOOP x3
CREATEGATE
REVOKE
REVOKE of a missing selector is refused
create/revoke x10,000 without a leak
delegate to the second VPE
cross-VPE revoke, after which that VPE's next send fails
exchange/revoke x1,000
obtain
chain of depth 1 revoked
chain of depth 10 revoked
chain of depth 100 revoked
chain of depth 1,000 revoked
memory gate: write and read
memory gate: bounds
memory gate: permission
a forged header is impossible
an unprivileged PE cannot write its endpoints
LINES

finish
