#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Output that nobody reads must not hold a machine up beyond its time.
set -u
. tests/lib.sh

begin 'output: a reader that does not read, and a time limit'
mkfifo "$T/fifo"
# Somebody holds the pipe open and reads nothing.  In how long it is full is not said.
for limit in 2 10 50; do
    exec 3<>"$T/fifo"
    last="sempervm run --timeout $limit -- attack flood"
    timeout -k 5 "$VM_LIMIT" "$SEMPERVM" run --timeout "$limit" --pes 1 -- attack flood \
        >"$T/fifo" 2>"$T/err" </dev/null
    status=$?
    exec 3>&-
    grep -q 'bytes of output were lost' "$T/err" && break
done
want_status 4
want_err 'bytes of output were lost'
end

begin 'output: what is lost is said'
vm_in 'exec >/dev/full' run --pes 3 -- kernel hello
exec_status=$status
status=$exec_status
want_status 0
want_err 'bytes of output were lost'
end

begin 'rest: one program that ends well among idle PEs'
vm run --pes 4 -- hello
want_status 0
want_out 'Hello World'
end

finish
