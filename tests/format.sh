#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# How the sources look: clang-format, at most 600 lines a file and 66 a function, a licence line
# on top, nothing left to do, no path that only exists on one machine.
set -u
. tests/lib.sh

files()
{
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files -co --exclude-standard "$@" | while read -r f; do
            [ ! -f "$f" ] || echo "$f"
        done
    else
        for pattern; do
            find . -path ./build -prune -o -name "$pattern" -type f -print
        done
    fi
}

# report NAME: what stands in $T/found is the failure.
report()
{
    begin "format: $1"
    if [ -s "$T/found" ]; then
        bad "$(wc -l <"$T/found") places"
        sed 's/^/    /' "$T/found" | head -n 40
    fi
    end
}

files '*.c' '*.h' >"$T/c"
files '*.c' '*.h' '*.S' '*.sh' '*.mk' '*.ld' >"$T/all"
[ -s "$T/c" ] || {
    echo "FAIL format: found no sources"
    exit 1
}

xargs clang-format --dry-run -Werror <"$T/c" 2>&1 | grep -E 'error:|not found' >"$T/found"
report 'clang-format'

xargs awk 'FNR == 601 { print FILENAME " is longer than 600 lines" }' <"$T/all" >"$T/found"
report 'file length'

# A function is what a brace in the first column opens and closes.
xargs awk '
    /^\{/ { start = FNR }
    /^\}/ && start {
        if (FNR - start > 67)
            print FILENAME ":" start ": " FNR - start - 1 " lines"
        start = 0
    }
    FNR == 1 { start = 0 }' <"$T/c" >"$T/found"
report 'function length'

while read -r f; do
    head -n 3 "$f" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' || echo "$f"
done <"$T/all" >"$T/found"
report 'licence line'

grep -v '^tests/format.sh$' "$T/all" | xargs grep -nE '\b(TODO|FIXME|XXX)\b' >"$T/found"
report 'nothing left to do'

grep -v '^tests/format.sh$' "$T/all" | xargs grep -nE '(^|[^a-z0-9_}])/(opt|work|home|root)/[a-z]' \
    >"$T/found"
report 'no paths of one machine'

finish
