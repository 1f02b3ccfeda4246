#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The capability oracle on whole machines: forests by a seed (guest/apps/capforest), compared with
# their model by the programs that grow them; the kernels compare their heaps with those at boot.
# Every seed is another forest and another schedule; programs and nodes die at a moment that goes
# with it.
#
#   FOREST_SEEDS  of each kind: A..B, or a number of them (3)
#   FOREST_JOBS   runs at the same time (1)
#   FOREST_DIR    log and failing runs; with it, it goes on where it was (a folder of the test's own)
set -u
. tests/lib.sh
seeds=${FOREST_SEEDS:-3}
case $seeds in *..*) ;; *) seeds=1..$seeds ;; esac
number=$((${seeds##*..} - ${seeds%%..*} + 1))
VM_LIMIT=${FOREST_LIMIT:-$((number * 120 + 600))}
slow=refuse=0.02,delay=0.02,spurious=0.02
wire=loss=0.02,dup=0.02,reorder=0.05,stall=0.001

explored() # NAME OPTION...
{
    dir=${FOREST_DIR:-$T}/$1
    shift
    vm explore --seeds "$seeds" --jobs "${FOREST_JOBS:-1}" --shrink 0 --dir "$dir" "$@"
    want_status 0
    want_last_line "^$number seeds.*: $number ok\$"
}

begin "forest: three kernels of one node, $seeds"
explored one -- tests/explore/forest.ini
end

begin "forest: the same, messages without space, late packets, wake-ups for nothing, $seeds"
explored slow --faults "$slow" -- tests/explore/forest.ini
end

begin "forest: the same, and a client or a service crashes, $seeds"
explored crash --faults "crash=2+3+8+9+11+12@3000..20000,$slow" \
    --check 'awk -v clients=3 -f tests/explore/forest.awk' -- tests/explore/forest-crash.ini
end

if [ ! -e "${GUESTS:-build/guest}/bridge" ]; then
    skip 'forest: nodes' 'no build/guest/bridge; it is built where the sources of lwIP can be had'
    finish
fi

begin "forest: two nodes, $seeds"
explored nodes -- tests/explore/forest-nodes.ini
end

begin "forest: two nodes on a bad wire, $seeds"
explored wire --faults "$wire,$slow" -- tests/explore/forest-nodes.ini
end

begin "forest: two nodes, and a client or a service crashes, $seeds"
explored crash-nodes --faults "crash=2+3+10+11@2500..12000,$wire,$slow" \
    --check 'awk -v clients=2 -f tests/explore/forest.awk' -- tests/explore/forest-crash-nodes.ini
end

# Node 1 begins anew by itself.
begin "forest: a node dies and begins anew, $seeds"
explored death --faults down=1@6000..20000 --check 'sh tests/explore/forest-death.sh' \
    -- tests/explore/forest-death.ini
end
finish
