#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Several kernels on one machine: demos/kernels.ini, many kernels, what cannot start.
set -u
. tests/lib.sh

begin 'kernels: demos/kernels.ini, services that span four kernels'
vm run --timeout "$VM_LIMIT" demos/kernels.ini
want_status 0
want_count 2 '^hosttest: [1-9][0-9]* passed, 0 failed$'
want_out '^kernel 0: started kernel 3 on PE '
want_out '^capclient: 19 rounds, avg\. obtain [1-9][0-9]* cycles, avg\. revoke [1-9][0-9]* cycles$'
want_out '^capserver: 20 capabilities given, 20 revoked, avg\. revoke [1-9][0-9]* cycles$'
want_no_out 'FAIL|heap use|did not end|on PE [0-9]+ is gone|did not start'
want_no_err .
end

begin 'kernels: the same seed, the same run'
for again in 1 2; do
    vm run --seed 1 --timeout "$VM_LIMIT" demos/kernels.ini
    want_status 0
    want_count 2 '^hosttest: [1-9][0-9]* passed, 0 failed$'
    cat "$T/out" "$T/err" | grep 'trace hash' >"$T/hash$again"
done
[ -s "$T/hash1" ] || bad 'no trace hash'
cmp -s "$T/hash1" "$T/hash2" || bad 'another trace hash'
end

begin 'kernels: nine of them begin and end together'
set --
for _ in 1 2 3 4 5 6 7 8; do
    set -- "$@" kernel hello pes=2 --
done
vm run --pes 20 --timeout "$VM_LIMIT" -- kernel "$@" hello
want_status 0
want_count 9 'Hello World'
want_count 8 '^kernel 0: started kernel [1-8] on PE [0-9]+, 2 PEs$'
want_no_out 'heap use|on PE [0-9]+ is gone|did not start'
end

begin 'kernels: 64 of them'
set --
i=1
while [ "$i" -lt 64 ]; do
    set -- "$@" kernel hello pes=2 --
    i=$((i + 1))
done
vm run --pes 130 --dram 9G --timeout "$VM_LIMIT" -- kernel "$@" hello
want_status 0
want_count 64 'Hello World'
want_out '^kernel 0: started kernel 63 on PE '
want_no_out 'heap use|on PE [0-9]+ is gone|did not start'
end

begin 'kernels: a program that fails on another kernel fails the machine'
vm run --pes 8 --timeout "$VM_LIMIT" -- kernel kernel capclient 0 pes=2 -- hello
want_status 1
end

begin 'kernels: more PEs than there are'
vm run --pes 4 --timeout "$VM_LIMIT" -- kernel kernel hello pes=9 -- hello
[ "$status" != 0 ] || bad 'it does not say so'
end

finish
