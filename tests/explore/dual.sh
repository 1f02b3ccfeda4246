#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Both nodes of tests/explore/dual.ini in one process, over a wire that loses, doubles, reorders and
# stalls frames, and with nodes that crash and return: everything a function of the seed.  Goes on
# where it was when it is interrupted.
#
#   DUAL_SEEDS=A..B   seeds (1..20; `make explore-dual SEEDS=1..10000`)
#   DUAL_DIR          log and failing runs (a folder of the test's own; build/explore-dual)
#   DUAL_JOBS         runs at the same time (1)
set -u
. tests/lib.sh
seeds=${DUAL_SEEDS:-1..20}
dir=${DUAL_DIR:-$T/dual}
faults=loss=0.05,dup=0.05,reorder=0.1,stall=0.003,down=0.0002

if [ ! -e build/guest/bridge ]; then
    skip 'explore: dual' 'no build/guest/bridge; it is built where the sources of lwIP can be had'
    finish
fi

begin "explore: two nodes, seeds $seeds, $faults"
last="explore --dir $dir"
# Progress is for whoever looks on; the limit ends only what hangs, on a loaded host too.
"$SEMPERVM" explore --seeds "$seeds" --jobs "${DUAL_JOBS:-1}" --limit 600 --shrink "${DUAL_SHRINK:-0}" \
    --dir "$dir" --faults "$faults" --check 'sh tests/explore/pair.sh' \
    -- --log info tests/explore/dual.ini >"$T/out" </dev/null
status=$?
want_status 0
want_last_line '^[0-9]+ seeds.*: [0-9]+ ok$'
test_name="$test_name: $(tail -n 1 "$T/out")"
end
finish
