#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# `sempervm explore` finds what is wrong (guest/apps/planted), shrinks it and says how to replay it,
# and finds nothing in healthy machines.
#
#   EXPLORE_SEEDS     for each planted bug (2000); the first one found ends it
#   EXPLORE_HEALTHY   seeds of multi-2 (60); a tenth of them of run-kernel
#   EXPLORE_ORDINARY  runs without a seed, in which no bug may show (0)
set -u
. tests/lib.sh
seeds=${EXPLORE_SEEDS:-2000}
healthy=${EXPLORE_HEALTHY:-60}
ordinary=${EXPLORE_ORDINARY:-0}
VM_LIMIT=${EXPLORE_LIMIT:-3000}

hash_of() # file
{
    sed -n 's/^trace hash //p' "$1"
}

# planted BUG STATUS VERDICT: what the bug ends with.
planted()
{
    begin "explore: planted $1 is found, shrunk and replayed"
    vm explore --seeds "1..$seeds" --stop 1 --shrink 1 --dir "$T/$1" \
        -- --pes 4 -- kernel planted "$1"
    want_status 1
    want_out "^seed [0-9]+: $3; shrunk from [0-9]+ context switches to [0-9]+, [0-9]+ of them chosen"
    cp "$T/out" "$T/found"
    seed=$(sed -n 's/^seed \([0-9]*\): .*/\1/p' "$T/found" | head -n 1)
    trace=$T/$1/seed-$seed.trace
    grep -Fqx "  sempervm replay $trace" "$T/found" || bad 'no command line that replays it'
    chosen=$(sed -n 's/^seed .* to [0-9]*, \([0-9]*\) of them chosen.*/\1/p' "$T/found" | head -n 1)
    # No switch of those left can be left out alone; how many that are depends on the run it began with
    # (2 to 19 so far, of 76 to 285).
    [ "${chosen:-99}" -le 32 ] || bad "shrunk to $chosen chosen switches only"
    vm replay "$trace"
    want_status "$2"
    [ "$(hash_of "$T/out")" = "$(hash_of "$T/$1/seed-$seed.out")" ] || bad 'replayed otherwise'
    end
    [ -n "$reason" ] || sed 's/^/     /' "$T/found"
}

planted wakeup 5 deadlock
planted order 1 'guest failed'
planted free 1 'guest failed'
planted slot 1 'guest failed'
planted crossed 5 deadlock

begin "explore: nothing in multi-2, $healthy seeds"
vm explore --seeds "1..$healthy" --dir "$T/multi" -- demos/multi-2.ini
want_status 0
want_last_line "^$healthy seeds: $healthy ok\$"
end

few=$(((healthy + 9) / 10))
begin "explore: nothing in run-kernel, $few seeds"
vm explore --seeds "1..$few" --dir "$T/kernel" -- demos/run-kernel.ini
want_status 0
want_last_line "^$few seeds: $few ok\$"
end

begin 'explore: goes on where it was'
vm explore --seeds 1..8 --dir "$T/multi-2" -- demos/multi-2.ini
want_last_line '^8 seeds: 8 ok$'
vm explore --seeds 1..10 --dir "$T/multi-2" -- demos/multi-2.ini
want_last_line '^10 seeds \(8 of them earlier\): 10 ok$'
vm explore --fresh --seeds 1..4 --dir "$T/multi-2" -- demos/multi-2.ini
want_last_line '^4 seeds: 4 ok$'
end

# The check program of the fourth run interrupts the exploration, and does not on the second try.
begin 'explore: goes on after Ctrl-C'
again="echo >>$T/n; [ \$(wc -l <$T/n) != 4 ] || kill -INT \$PPID"
vm explore --jobs 1 --seeds 1..12 --check "$again" --dir "$T/int" -- demos/multi-2.ini
want_status 130
want_err 'interrupted; the same command goes on'
vm explore --jobs 1 --seeds 1..12 --check "$again" --dir "$T/int" -- demos/multi-2.ini
want_status 0
want_last_line '^12 seeds \([34] of them earlier\): 12 ok$'
end

# Whatever is there as a log or as a schedule, it is refused or does not matter.
begin 'explore: a damaged log, a schedule that is none'
printf 'nonsense\n0 1 2\n\377\376\n' >>"$T/int/progress"
vm explore --jobs 1 --seeds 1..12 --check "$again" --dir "$T/int" -- demos/multi-2.ini
want_last_line '^12 seeds \(12 of them earlier\): 12 ok$'
vm run --seed 1 --schedule "$T/int/progress" demos/multi-2.ini
want_status 2
want_one_line_err "$T/int/progress"
vm run --seed 1 --schedule "$T/none" demos/multi-2.ini
want_status 2
want_one_line_err "$T/none"
vm explore --seeds 1..2 --dir /proc/none -- demos/multi-2.ini
want_status 2
want_one_line_err /proc/none
vm explore --seeds 1..2 --expect "$T/none" --dir "$T/e0" -- demos/multi-2.ini
want_status 2
want_one_line_err "$T/none"
vm explore --seeds 1..2 --dir "$T/e0" -- "$T/none.ini"
want_status 2
want_err "$T/none.ini"
end

begin 'explore: expected output, and a program that checks it'
echo '[0-9]/2 PEs' >"$T/regex"
echo '2/2 PEs exited 0' >"$T/lines"
vm explore --seeds 1..2 --expect "$T/lines" --check "grep -q '2/2 PEs'" --dir "$T/e1" \
    -- demos/multi-2.ini
want_status 0
vm explore --seeds 1..2 --shrink 0 --expect "$T/regex" --dir "$T/e2" -- demos/multi-2.ini
want_status 1
want_out '^seed 1: output missing'
vm explore --seeds 1..2 --shrink 0 --check false --dir "$T/e3" -- demos/multi-2.ini
want_status 1
want_out '^seed 2: check failed$'
end

if [ "$ordinary" -gt 0 ]; then
    for bug in wakeup order free slot crossed; do
        begin "planted $bug: not in $ordinary ordinary runs"
        n=0
        while [ "$n" -lt "$ordinary" ] && [ -z "$reason" ]; do
            vm run --pes 4 --timeout 60 -- kernel planted "$bug"
            want_status 0
            n=$((n + 1))
        done
        end
    done
fi
finish
