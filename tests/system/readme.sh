#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The README's commands: every `make TARGET` in it exists, every machine it shows runs.
set -u
. tests/lib.sh

# The lines of indented and fenced code, without prompts.
sed -n -e '/^```/,/^```/p' -e '/^    [a-z$]/p' README.md |
    sed -e '/^```/d' -e 's/^ *//' -e 's/^\$ //' >"$T/commands"

begin 'README: has commands'
[ "$(grep -c '^make' "$T/commands")" -ge 4 ] || bad 'fewer than four'
end

if command -v make >/dev/null 2>&1 && [ -z "${STOCK:-}" ]; then
    # We may be inside a make; its jobs are not ours.
    unset MAKEFLAGS MFLAGS
    sed -n 's/^make \([a-zA-Z].*\)$/\1/p' "$T/commands" | sed 's/ *#.*//' | sort -u >"$T/makes"
    while read -r words; do
        begin "README: make $words"
        last="make $words"
        # shellcheck disable=SC2086 # a command line
        set -- $words
        case $1 in
        test* | fuzz* | bench* | clean | format* | stock*)
            # What runs these, or would take too long: that there is a rule. 1: not up to date.
            make -n -q "$@" >"$T/out" 2>"$T/err" </dev/null
            status=$?
            [ "$status" -le 1 ] || bad "no such target"
            ;;
        *)
            timeout -k 5 "$((VM_LIMIT * 6))" make -s "$@" >"$T/out" 2>"$T/err" </dev/null
            status=$?
            want_status 0
            ;;
        esac
        end
    done <"$T/makes"
else
    skip 'README: make targets' 'no make here'
fi

# Lines that begin with build/sempervm run as they stand, in their order: some use what others made.
mkdir -p build
sed -n 's/^build\/sempervm \(.*\)$/\1/p' "$T/commands" | sed 's/ *#.*//' >"$T/runs"
while read -r words; do
    begin "README: sempervm $words"
    # shellcheck disable=SC2086 # a command line
    set -- $words
    vm "$@"
    want_status 0
    end
done <"$T/runs"

finish
