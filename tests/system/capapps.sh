#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# captree and capchain on one kernel.
set -u
. tests/lib.sh

begin 'captree: two clients, 20 capabilities'
vm run --pes 5 --timeout "$VM_LIMIT" -- kernel captree serve 20 daemon -- \
    captree obtain 10 requires=captree repeat=2
want_status 0
want_count 11 '^captree: round [0-9]+: 20 revoked in [1-9][0-9]* ns$'
want_count 2 '^captree: 11 rounds, 10 capabilities obtained in each, all dead afterwards$'
want_count 1 '^captree: 11 rounds of 20 capabilities, avg\. revoke [1-9][0-9]* ns$'
want_no_out 'heap use|did not end|error'
want_no_err .
end

begin 'capchain: 100 links'
vm run --pes 4 --timeout "$VM_LIMIT" -- kernel capchain link daemon -- \
    capchain root 100 requires=capchain-link
want_status 0
want_count 1 '^capchain: 100 links revoked in [1-9][0-9]* ns$'
want_count 1 '^capchain: a chain of 100, dead at both ends$'
want_no_out 'heap use|did not end|error'
end

begin 'captree and capchain: the same seed, the same run'
for i in 1 2; do
    vm run --seed 7 --pes 8 --timeout "$VM_LIMIT" -- kernel captree serve 6 daemon -- \
        captree obtain 3 requires=captree repeat=2 -- capchain link daemon -- \
        capchain root 10 requires=capchain-link
    want_status 0
    want_count 1 '^capchain: a chain of 10, dead at both ends$'
    cat "$T/out" "$T/err" | grep 'trace hash' >"$T/hash$i"
done
[ -s "$T/hash1" ] || bad 'no trace hash'
cmp -s "$T/hash1" "$T/hash2" || bad 'another trace hash'
end

begin 'captree: a client that obtains more than the service counts'
vm run --pes 4 --timeout "$VM_LIMIT" -- kernel captree serve 2 daemon -- captree obtain 3 requires=captree
want_status 1
want_out 'PANIC: captree: signal, round 0: error 5'
end

while read -r words; do
    begin "usage: $words"
    # shellcheck disable=SC2086 # words
    vm run --pes 3 --timeout "$VM_LIMIT" -- kernel $words
    want_status 1
    want_out 'PANIC: usage: '
    end
done <<'LINES'
captree
captree serve 0
captree obtain many
captree revoke 1
capchain
capchain root 3
capchain root 100000
capchain link a b
m3fs
m3fs 100001
LINES

finish
