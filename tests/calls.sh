#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Which system calls and kernel calls the unit tests of the kernel really send, each at least once
# so that it works and once so that it is refused.  The fake machine counts (kernel_fake_many.c).
# What no handler can refuse counts as refused when it is sent to a kernel that has no such thing.
#
#     tests/calls.sh [UNIT...]    the built tests
set -u
[ $# -gt 0 ] || set -- build/unit/test_kernel_*

export CK_DEFAULT_TIMEOUT="${CK_DEFAULT_TIMEOUT:-300}"
file=$(mktemp) || exit 2
trap 'rm -f "$file" "$file.log"' EXIT
for unit in "$@"; do
    [ -x "$unit" ] || continue
    KERNEL_CALLS_FILE=$file "$unit" >"$file.log" 2>&1 || {
        cat "$file.log"
        echo "FAIL calls: $unit fails"
        exit 1
    }
done
awk '
    { good[$1, $2] += $3; bad[$1, $2] += $4 }
    function covered(kind, count, i, n) {
        n = 0
        for (i = 0; i < count; i++) {
            # EXIT of a VPE is answered by nobody, NOOP has nothing to refuse.
            only = kind == "sys" && i == 18
            never = kind == "sys" && (i == 0 || i == 6)
            if ((good[kind, i] || never) && (bad[kind, i] || only))
                n++
            else
                printf "calls: %s %d: %d well, %d refused\n", kind, i, good[kind, i], bad[kind, i]
        }
        return n
    }
    END {
        s = covered("sys", 19)
        k = covered("krnl", 33)
        printf "syscalls %d/19, kernel calls %d/33 covered\n", s, k
        ok = s == 19 && k == 33
        printf "%s calls: each is sent well and badly\n", ok ? "PASS" : "FAIL"
        exit !ok
    }' "$file"
