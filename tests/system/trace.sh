#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# `sempervm trace` on traces of whole machines: text, filters, differences, JSON, bad files.
set -u
. tests/lib.sh

record() # file argument...
{
    file=$1
    shift
    vm run --timeout "$VM_LIMIT" --trace "$file" "$@" demos/multi-2.ini
    want_status 0
}

begin 'trace: seeded runs are recorded'
record "$T/again" --seed 5
record "$T/six" --seed 6
record "$T/five" --seed 5
hash=$(sed -n 's/^trace hash //p' "$T/out")
[ -n "$hash" ] || bad 'no trace hash'
end

begin 'trace: text, with the hash that the run printed'
vm trace "$T/five"
want_status 0
want_out "^# .*: seed 5, trace hash $hash,"
want_out '^# run .*--seed 5 .*demos/multi-2.ini$'
want_out ' SEND .* ok .* system call (ATTACHRB|CREATEGATE)$'
want_out ' FETCH '
want_out ' WAIT .* HLT$|wait register$'
want_no_err .
end

begin 'trace: only what is asked for'
vm trace --pe 2 --op send,reply --from 10 "$T/five"
want_status 0
want_out '^ +[0-9]+ +[0-9]+ +2 .* SEND '
want_count 0 '^ .* (FETCH|WAIT|SCHED|WRITE) '
want_count 0 '^ +[0-9] '
[ "$(grep -v '^#' "$T/out" | awk '$3 != 2' | wc -l)" -eq 0 ] || bad 'a record of another PE'
end

begin 'trace: --summary counts the same as the text has'
vm trace --op fetch "$T/five"
fetches=$(grep -c ' FETCH ' "$T/out")
vm trace --summary "$T/five"
want_status 0
want_out "^operation +FETCH +$fetches( |\$)"
end

begin 'trace: --diff of the same seed'
vm trace --diff --payload "$T/five" "$T/again"
want_status 0
want_out '^equal: [0-9]+ records$'
end

begin 'trace: --diff of different seeds'
vm trace --diff "$T/five" "$T/six"
want_status 1
want_out '^different from record [0-9]+ on$'
want_count 5 '^<'
want_count 5 '^>'
end

begin 'trace: --chrome'
vm trace --chrome "$T/json" "$T/five"
want_status 0
want_no_err .
for word in '"ph":"X"' '"ph":"s"' '"ph":"t"' '"ph":"f"' '"name":"PE 1 (kernel)"' '"name":"PE 2"' \
    '"name":"SEND CREATEGATE"' '"name":"REPLY CREATEGATE"'; do
    grep -qF "$word" "$T/json" || bad "no $word in the JSON"
done
[ "$(tail -n 1 "$T/json")" = ']}' ] || bad 'the JSON is cut short'
end

begin 'trace: an ordinary run'
record "$T/plain"
vm trace "$T/plain"
want_status 0
want_out ': ordinary run, '
grep -v '^#' "$T/out" | awk '$1 != NR - 1 { exit 1 }' || bad 'the steps are not 0, 1, 2...'
end

# refused REGEX ARGUMENT...: one line, status 2.
refused()
{
    regex=$1
    shift
    begin "trace: refused: $(echo "$*" | sed "s,$T/,,g")"
    vm trace "$@"
    want_status 2
    want_one_line_err "$regex"
    want_no_out .
    end
}

head -c 1000 "$T/five" >"$T/cut"
printf 'no trace' >"$T/text"
{
    head -c 8 "$T/five"
    printf '\002\000\000\000'
    tail -c +13 "$T/five"
} >"$T/version"
refused 'cut: the trace is cut short' "$T/cut"
refused 'text: no trace' "$T/text"
refused 'trace of version 2, this program reads 1' "$T/version"
refused 'No such file' "$T/nothing"
refused 'no trace; name a FILE'
refused "'x' is no list of PEs" --pe x "$T/five"
refused "'x' is no operation" --op x "$T/five"
refused "'x' is no step" --from x "$T/five"
refused 'there is one; name another' --diff "$T/five"
refused 'two traces without --diff' "$T/five" "$T/six"

finish
