#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The NIC's interrupt line in a bare PE: level-triggered, masked, never lost, never spurious, never
# late on purpose; and what a bare PE is.
set -u
. tests/lib.sh

. tests/net/framepeer.sh

for irq in 11 5; do
    begin "interrupts: line, masks and link, at input $irq"
    vm run --timeout "$VM_LIMIT" --nic "pe=1,irq=$irq,$udp" -- irqtest line
    want_status 0
    want_no_out FAIL
    want_last_line '^[0-9]+ passed, 0 failed$'
    want_no_err .
    end
done

# frames N WINDOW: over a stream, which loses nothing
frames()
{
    rm -f "$T/sock"
    start_peer unix "$T/sock"
    vm run --timeout "$VM_LIMIT" --stats --nic "pe=1,irq=11,stream=listen:unix:$T/sock" \
        -- irqtest frames "$1" "$2"
    stop_peer
    want_status 0
    want_no_out FAIL
    want_last_line '^[0-9]+ passed, 0 failed$'
    # As often as the line rose its handler ran.
    rises=$(sed -n 's/^NIC of PE 1: .* interrupts \([0-9]*\),.*/\1/p' "$T/err")
    want_out "^${rises:-none} interrupts for $1 frames$"
}

begin 'interrupts: 10,000 frames, 16 under way, by interrupts alone: none lost, none spurious'
frames 10000 16
end
echo "    $(grep '^[0-9]* interrupts for' "$T/out")"

begin 'interrupts: one at a time'
frames 1000 1
end
echo "    $(grep '^[0-9]* interrupts for' "$T/out")"

begin 'interrupts: exact by a seed'
vm run --seed 5 --nic "pe=1,irq=11,$udp" -- irqtest line
want_status 0
want_last_line '^trace hash'
grep 'hash' "$T/out" >"$T/first"
vm run --seed 5 --nic "pe=1,irq=11,$udp" -- irqtest line
grep 'hash' "$T/out" | cmp -s - "$T/first" || bad 'another hash by the same seed'
end

begin 'interrupts: an exception without a handler ends the PE with a report'
vm run --timeout 20 --nic "pe=1,irq=11,$udp" -- irqtest fault
want_status 1
want_err 'PE 1: fault: the CPU shut down: an exception that its program has no handler for'
end

begin 'interrupts: of a PE that is not bare the pin leads nowhere, and its registers say so'
vm run --timeout "$VM_LIMIT" --nic "pe=1,$udp" -- irqtest line
want_status 1
want_out 'FAIL  the register page says so'
want_out 'FAIL  PCI: and says which input'
end

# ---- bad input

begin 'interrupts: an input that no PCI device may have'
for irq in 0 2 8 13 16 x; do
    vm run --nic "pe=1,irq=$irq,$udp" -- irqtest line
    want_status 2
    want_one_line_err "bad value '$irq' of --nic irq, want 3 to 7, 9 to 12, 14 or 15"
done
end

begin 'interrupts: not without the rest of a NIC'
vm run --nic irq=11 -- irqtest line
want_status 2
want_err 'in no PE'
end

finish
