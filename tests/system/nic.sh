#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# A NIC in a PE: what its driver finds, that no other PE finds it, frames through UDP and a stream,
# and that a driver's doorbell costs no exit to user space.
set -u
. tests/lib.sh

. tests/net/framepeer.sh

# The number in front of or behind a word of the statistics: stat 's/.../\1/p'
stat()
{
    sed -n "$1" "$T/err" | head -n 1
}

begin 'nic: PCI, EEPROM, resets, moving windows'
vm run --nic "pe=1,mac=52:54:00:ab:cd:ef,$udp" -- nictest probe
want_status 0
want_out '^MAC 52:54:0:ab:cd:ef$'
want_last_line '^[0-9]+ passed, 0 failed$'
want_no_err .
end

begin 'nic: another PE has neither its ports nor its registers'
vm run --timeout 10 --nic "pe=2,$udp" -- nictest foreign
want_out 'ok  nothing at the addresses of its registers'
want_no_out FAIL
want_err 'PE 1: fault: #GP'
end

begin 'nic: its own PE has no other ports'
vm run --nic "pe=1,$udp" -- nictest port
want_status 1
want_err 'PE 1: fault: #GP'
end

begin 'nic: a frame at a time, to a peer and back'
start_peer udp $((base + 1))
vm run --timeout "$VM_LIMIT" --nic "pe=1,$udp" --pcap "$T/frames.pcapng" -- nictest echo 200 300
want_status 0
want_last_line '^1 passed, 0 failed$'
end

begin 'nic: they are recorded'
[ "$(od -An -tx1 -N4 "$T/frames.pcapng" | tr -d ' ')" = 0a0d0d0a ] || bad 'no pcapng file'
size=$(wc -c <"$T/frames.pcapng")
[ "$size" -ge $((400 * 300)) ] || bad "$size bytes recorded, not 400 frames of 300 bytes"
end

begin 'nic: many under way; a doorbell costs no exit'
vm run --timeout "$VM_LIMIT" --stats --nic "pe=1,$udp" -- nictest stream 4000 64
want_status 0
want_last_line '^1 passed, 0 failed$'
posted=$(stat 's/.*posted stores \([0-9]*\) (merged.*/\1/p')
stores=$(stat 's/.*loads [0-9]* stores \([0-9]*\) ports.*/\1/p')
waits=$(stat 's/^  exits .* vreg \([0-9]*\) nic.*/\1/p')
# One to TDT and one to RDT for each frame; of the others each stands for a wait.
[ "${posted:-0}" -ge 8000 ] || bad "${posted:-no} posted stores for 4000 frames each way"
[ "${stores:-9999}" -le $((${waits:-0} + 20)) ] || bad "$stores stores left the guest, $waits waits"
end
echo "    4000 frames: $(stat 's/^  exits *\(vreg.*\)/\1/p') exits to user space"

begin 'nic: the longest frames'
vm run --timeout "$VM_LIMIT" --nic "pe=1,$udp" -- nictest stream 500 1514
want_status 0
want_last_line '^1 passed, 0 failed$'
stop_peer
end

begin 'nic: over a stream that comes later'
start_peer unix "$T/sock"
vm run --timeout "$VM_LIMIT" --nic "pe=1,stream=listen:unix:$T/sock" -- nictest ordered 1000 64
stop_peer
want_out 'every frame came back, in order'
want_status 0
end

begin 'nic: nobody there, and it ends all the same'
vm run --timeout "$VM_LIMIT" --nic "pe=1,$udp" -- nictest echo 1 64
want_status 1
want_out 'received 0'
end

# ---- bad input

begin 'nic: a port that is taken'
start_peer udp "$base"
vm run --nic "pe=1,$udp" -- nictest probe
stop_peer
want_status 3
want_one_line_err "cannot listen at 127.0.0.1:$base"
end

begin 'nic: a recording that cannot be written'
vm run --nic "pe=1,$udp" --pcap /nonexistent/x -- nictest probe
want_status 3
want_one_line_err '/nonexistent/x: No such file'
end

begin 'nic: an incomplete one'
vm run --nic pe=1 -- nictest probe
want_status 2
want_one_line_err 'wants udp and peer, or stream'
end

finish
