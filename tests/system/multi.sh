#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# `make multi-2`, `multi-4`, `run-N`: every application PE talks to every other.
set -u
. tests/lib.sh

# Every line is somebody's alone: a prefix, and no second one in it.
want_whole_lines()
{
    grep -v '^messages, ' "$T/out" | grep -Ev '^ +PE|^[0-9]+/[0-9]+ PEs' >"$T/lines"
    [ "$(grep -cv '^\[PE [0-9]*\] ' "$T/lines")" = 0 ] || bad "$last: a line without a prefix"
    [ "$(grep -c '.\[PE ' "$T/lines")" = 0 ] || bad "$last: two lines in one"
}

# want_pairs N: the table has N rows of N numbers, zero on the diagonal only, all others equal.
want_pairs()
{
    sed -n '/^messages, /,$p' "$T/out" | grep -E '^ +PE [0-9]+ +[0-9]+ ' >"$T/table"
    awk -v n="$1" '
        { rows++; if (NF != n + 2) wrong = 1
          for (i = 3; i <= NF; i++) {
              if (i - 2 == NR) { if ($i != 0) wrong = 1 }
              else { if ($i < 1) wrong = 1 } } }
        END { exit wrong || rows != n }' "$T/table" || bad "$last: the table is not $1 by $1, or \
a pair exchanged nothing"
}

for n in 2 4; do
    begin "multi-$n"
    vm run --timeout "$VM_LIMIT" "demos/multi-$n.ini"
    want_status 0
    want_count "$n" 'hello from PE'
    want_count "$n" "got [1-9][0-9]* messages from $((n - 1)) peers"
    want_last_line "^$n/$n PEs exited 0\$"
    want_whole_lines
    want_pairs "$n"
    want_no_out "$(printf '\033')"
    want_no_err .
    end
done

begin 'multi-4: coloured when asked'
vm run --timeout "$VM_LIMIT" --color=always demos/multi-4.ini
want_status 0
grep -o "$(printf '\033')\[[0-9;]*m\[PE [0-9]*" "$T/out" | sort -u >"$T/hues"
[ "$(wc -l <"$T/hues")" -ge 4 ] || bad 'fewer than four coloured prefixes'
end

finish
