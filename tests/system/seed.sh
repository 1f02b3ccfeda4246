#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs as functions of a seed: the same seed gives the same trace hash, another seed another one,
# on every KVM.  SEEDS seeds of each machine (5 of multi-4, 2 of run-kernel).  build/seed-hashes, if
# there, has been measured on another KVM (`make seed-hashes`), and is what must come out here, too;
# the machine under QEMU, which is slow, then needs no second run.
set -u
. tests/lib.sh
seeds=${SEEDS:-5}
known=build/seed-hashes

# run_seed MACHINE SEED: to $hash.
run_seed()
{
    vm run --timeout "$VM_LIMIT" --seed "$2" "demos/$1.ini"
    want_status 0
    hash=$(sed -n 's/^trace hash \([0-9a-f]\{16\}\)$/\1/p' "$T/out")
    [ -n "$hash" ] || bad "$last: no trace hash"
}

known_hash() # machine seed
{
    [ "${STOCK:-no}" = yes ] && [ -r "$known" ] && sed -n "s/^$1 $2 //p" "$known"
}

# same MACHINE SEEDS
same()
{
    begin "seed: $1, $2 seeds, the same hash again"
    : >"$T/hashes"
    s=1
    while [ "$s" -le "$2" ] && [ -z "$reason" ]; do
        run_seed "$1" "$s"
        first=$hash
        hash=$(known_hash "$1" "$s")
        [ -n "$hash" ] || run_seed "$1" "$s"
        [ "$first" = "$hash" ] || bad "$1, seed $s: $first here, $hash the other time"
        echo "$1 $s $first" >>"$T/hashes"
        s=$((s + 1))
    done
    end
    sed 's/^/     /' "$T/hashes" | head -n 5

    begin "seed: $1, different seeds differ"
    n=$(cut -d ' ' -f 3 "$T/hashes" | sort -u | wc -l)
    [ "$n" -eq "$2" ] || bad "$n different hashes for $2 seeds"
    end
}

same multi-4 "$seeds"
# Thousands of system calls: many seconds a run where an exit is slow, so fewer unless asked.
same run-kernel "${SEEDS:-2}"

begin 'seed: each policy, twice'
for policy in uniform rr pct pct:5 pct:5:2000; do
    vm run --seed 7 --policy "$policy" demos/multi-2.ini
    want_status 0
    first=$(grep '^trace hash' "$T/out")
    vm run --seed 7 --policy "$policy" demos/multi-2.ini
    [ "$first" = "$(grep '^trace hash' "$T/out")" ] || bad "$policy: not the same hash"
done
end

# refused REGEX ARGUMENT...: one line, status 2.
refused()
{
    regex=$1
    shift
    begin "seed: refused: $*"
    vm "$@"
    want_status 2
    want_one_line_err "$regex"
    end
}

refused "--seed: 'x'" run --seed x -- kernel hello
refused "--seed: '-1'" run --seed=-1 -- kernel hello
refused "--seed: '99999999999999999999'" run --seed 99999999999999999999 -- kernel hello
refused "--policy: 'y'" run --seed 1 --policy y -- kernel hello
refused "--policy: 'pct:x'" run --seed 1 --policy pct:x -- kernel hello
refused "--faults: 'z'" run --seed 1 --faults z -- kernel hello
refused "--faults: 'delay=2'" run --seed 1 --faults delay=2 -- kernel hello
for fault in crash=2@ crash=2+@5 crash=+2@5 crash=2@9..3 crash=2@9.. crash=2@3.9; do
    refused "--faults: '$(echo "$fault" | sed 's/[+.]/[&]/g')'" run --seed 1 --faults "$fault" -- kernel hello
done
refused "--seeds: 'x'" explore --seeds x -- -- kernel hello
refused "--seeds: '7..3'" explore --seeds 7..3 -- -- kernel hello
refused "--seeds: '1..y'" explore --seeds 1..y -- -- kernel hello
refused 'no seeds' explore -- -- kernel hello
refused 'no machine' explore --seeds 1..2

finish
