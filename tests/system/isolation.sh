#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What a PE does to itself it does to nobody else.  `attack guarded MODE` keeps a secret, has a
# second VPE misbehave, and looks after its secret through system calls while that goes on.
set -u
. tests/lib.sh

attack()
{
    vm run --pes 4 --timeout "$VM_LIMIT" --prefix -- kernel attack guarded "$@"
    want_out 'attack: .*seed'
    want_count 1 'the secret is intact'
    want_no_out 'DAMAGED|FOUND'
}

begin 'isolation: walking all addresses finds no neighbour'
attack walk
want_status 0
want_out 'nothing found'
want_no_err .
end

for seed in 1 2 3; do
    begin "isolation: random values in every register, seed $seed"
    attack scribble $seed
    want_status 0
    end
done

# mode and what the report must name
while read -r mode vector; do
    begin "isolation: $mode takes down one PE alone, with a report"
    attack "$mode"
    want_status 1
    [ "$(grep -c 'fault: ' "$T/err")" = 1 ] || bad "not one fault but $(grep -c 'fault: ' "$T/err")"
    want_err "^sempervm: PE 3: fault: .*$vector"
    want_err '^ +rip [0-9a-f]{16}'
    want_err 'cr2 [0-9a-f]{16}'
    want_err 'rax [0-9a-f]{16}.*rbx'
    want_err 'r12 [0-9a-f]{16}.*r15'
    want_err 'code'
    end
done <<'MODES'
wipe #
jump #
divide #DE
ud2 #UD
null #GP
noncanonical #GP
unmapped #PF
super #PF
stack #PF stack overflow
recurse #PF stack overflow
leap #PF stack overflow
MODES

begin 'isolation: the first program, a kernel, has the same guard'
vm run --pes 1 --timeout "$VM_LIMIT" -- attack recurse
want_status 1
want_err '^sempervm: PE 1: fault: #PF stack overflow'
want_err 'attack!deeper'
end

# Where its registers are in the middle of its work: above the guard, below the top.
for step in 40 120 250; do
    begin "isolation: the kernel's stack is the guarded one, step $step"
    vm run --seed 5 --faults crash=1@$step --timeout "$VM_LIMIT" demos/multi-2.ini
    want_status 1
    want_err '^sempervm: PE 1: fault: crashed by --faults'
    want_err 'rsp 00000000000(1[4-9a-f]|2[0-3])[0-9a-f]{3}$'
    end
done

begin 'isolation: who has exited is gone before its PE has another program'
vm run --pes 3 --timeout "$VM_LIMIT" --prefix -- kernel attack successor
want_status 0
want_count 1 'no trace of a predecessor on PE 3'
want_no_out 'SURVIVED|FOUND|FAILED'
want_no_err .
end

begin 'isolation: the report names the function'
attack ud2
want_err 'attack!attack_ud2'
end

for seed in 1 2 3; do
    begin "isolation: a page of random code, seed $seed"
    attack random $seed
    # Whatever it does, it is no success.
    [ "$status" != 0 ] || bad 'status 0'
    end
done

begin 'isolation: a neighbour program goes on to its end'
vm run --pes 4 --timeout "$VM_LIMIT" -- kernel secret 500 -- attack ud2
want_status 1
want_out 'secret: intact after 500 rounds'
want_count 0 'DAMAGED'
end

finish
