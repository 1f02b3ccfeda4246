#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# `run --trace`, `replay` and what they say of bad traces.
set -u
. tests/lib.sh

hash_of()
{
    grep '^trace hash' "$T/out"
}

for policy in uniform rr pct pct:5:2000; do
    begin "replay: a run by policy $policy comes out the same"
    vm run --seed 11 --policy "$policy" --timeout "$VM_LIMIT" --trace "$T/trace" demos/multi-2.ini
    want_status 0
    want_out '^trace hash [0-9a-f]{16}$'
    first=$(hash_of)
    vm replay "$T/trace"
    want_status 0
    want_no_err 'differs'
    [ "$(hash_of)" = "$first" ] || bad "$last: another hash"
    end
done

begin 'replay: with injected faults'
vm run --seed 12 --faults delay=0.05,spurious=0.05 --timeout "$VM_LIMIT" --trace "$T/trace" \
    demos/multi-2.ini
want_status 0
first=$(hash_of)
vm replay "$T/trace"
want_status 0
[ "$(hash_of)" = "$first" ] || bad "$last: another hash"
end

begin 'replay: --until stops there and prints all DTUs'
vm replay --until 200 "$T/trace"
want_status 0
want_out '^DTUs at step 200$'
want_out '^PE 0: STATUS'
want_count 3 '^PE [1-3], .*: STATUS'
want_out 'endpoint +0 receive'
end

begin 'replay: a crash at a step, and again'
vm run --seed 5 --faults crash=2@200 --timeout "$VM_LIMIT" --trace "$T/crash" demos/multi-2.ini
want_status 1
want_err 'PE 2: fault: crashed by --faults'
first=$(hash_of)
vm replay "$T/crash"
want_status 1
[ "$(hash_of)" = "$first" ] || bad "$last: another hash"
end

begin 'trace: an ordinary run, which replay refuses'
vm run --timeout "$VM_LIMIT" --trace "$T/plain" demos/multi-2.ini
want_status 0
want_no_out '^trace hash'
[ -s "$T/plain" ] || bad 'no trace was written'
vm replay "$T/plain"
want_status 2
want_one_line_err 'ordinary run'
end

begin 'replay: cut short'
head -c 3000 "$T/trace" >"$T/short"
vm replay "$T/short"
want_status 2
want_one_line_err 'cut short'
end

begin 'replay: no trace at all'
vm replay README.md
want_status 2
want_one_line_err 'no trace'
vm replay "$T/none"
want_status 2
want_one_line_err 'none'
end

begin 'replay: another machine'
# The same command line, but its machine file says something else by now.
sed 's,\.\./build,'"$PWD"'/build,' demos/multi-2.ini >"$T/m.ini"
vm run --seed 1 --timeout "$VM_LIMIT" --trace "$T/moved" "$T/m.ini"
want_status 0
sed 's/^pes = 3/pes = 4/' "$T/m.ini" >"$T/m2.ini"
mv "$T/m2.ini" "$T/m.ini"
vm replay "$T/moved"
want_status 2
want_one_line_err 'another machine'
end

begin 'trace: a folder that is not there'
vm run --seed 1 --trace "$T/no/such/trace" demos/multi-2.ini
want_status 3
want_one_line_err 'trace'
end

finish
