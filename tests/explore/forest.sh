#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The capability oracle on whole machines: forests by a seed (guest/apps/capforest), compared with
# their model by the programs that grow them; the kernels compare their heaps with those at boot.
# Every seed is another forest and another schedule.
#
#   FOREST_SEEDS  of each kind (3)
set -u
. tests/lib.sh
seeds=${FOREST_SEEDS:-3}
VM_LIMIT=${FOREST_LIMIT:-$((seeds * 120 + 600))}

explored() # NAME SEEDS OPTION...
{
    dir=$1
    n=$2
    shift 2
    vm explore --seeds "1..$n" --dir "$T/$dir" "$@"
    want_status 0
    want_last_line "^$n seeds: $n ok\$"
}

begin "forest: three kernels of one node, $seeds seeds"
explored one "$seeds" -- tests/explore/forest.ini
end

begin "forest: the same, one message in fifty finds no space at first, $seeds seeds"
explored refused "$seeds" --faults refuse=0.02 -- tests/explore/forest.ini
end

if [ ! -e "${GUESTS:-build/guest}/bridge" ]; then
    skip 'forest: nodes' 'no build/guest/bridge; it is built where the sources of lwIP can be had'
    finish
fi

# The moment goes with the seed, by steps of the whole run; node 1 begins anew by itself.
begin "forest: a node dies and begins anew, $seeds moments"
i=1
while [ "$i" -le "$seeds" ] && [ -z "$reason" ]; do
    vm run --seed "$i" --faults "down=1@$((6000 + i * 7919 % 14000))" tests/explore/forest-death.ini
    want_status 0
    want_out '^capforest: client 1: survived 1 deaths, 0 wrong$'
    want_no_out 'heap use|should be gone|is missing|PANIC'
    i=$((i + 1))
done
end
finish
