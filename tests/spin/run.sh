#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The models of the rings: as built they hold; each with one precaution left out fails, which shows
# that the model can see what the precaution is for.
set -u
. tests/lib.sh
here=$PWD

# check MODEL holds|fails DEFINE...
check()
{
    model=$1
    want=$2
    shift 2
    begin "spin: $model${*:+ $*} $want"
    mkdir -p "$T/m"
    (
        cd "$T/m" && rm -f pan* && spin -a "$@" "$here/tests/spin/$model.pml" &&
            gcc -O2 -DSAFETY -DMEMLIM=2048 -o pan pan.c && timeout 300 ./pan -m1000000
    ) >"$T/out" 2>&1
    if ! grep -q '^State-vector' "$T/out"; then
        bad 'the verifier did not run'
    elif grep -q 'max search depth too small\|out of memory' "$T/out"; then
        bad 'the search was not complete'
    elif grep -q 'errors: 0$' "$T/out"; then
        [ "$want" = holds ] || bad 'no error was found'
    else
        [ "$want" = fails ] || bad 'an error was found'
    fi
    end
}

check wake holds
check wake fails -DFENCE=0
check wake holds -DONLY=1
check wake fails -DONLY=1 -DFENCE=0
check revoke holds
check revoke fails -DFENCE=0
check revoke fails -DHFENCE=0
check revoke fails -DRECHECK=0
check revoke fails -DKEPT=0
check credits holds
check credits fails -DEARLY=1
check credits fails -DINORDER=1
for hostile in 0 1 2 3; do
    check reuse holds -DHOSTILE=$hostile
done
check reuse fails -DASKED=0
check reuse fails -DHELD=0
check reuse fails -DFENCE=0
check reuse fails -DMUTE=0
check reuse fails -DNUDGE=0
check reuse fails -DHOSTILE=1 -DAGAIN=0
check reuse fails -DHOSTILE=1 -DFROZEN=0
check reuse fails -DHOSTILE=1 -DLOOK=0
check reuse fails -DHOSTILE=2 -DTOLD=0
check reuse fails -DHOSTILE=1 -DBOTH=1
check reuse fails -DHOSTILE=3 -DBOTH=1
finish
