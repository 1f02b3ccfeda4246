#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The bridge's driver and lwIP on QEMU's own e1000: a bare 64-bit program (bare.c) under
# qemu-system-x86_64, and a neighbour on the other end of its `-netdev dgram`.
set -u
. tests/lib.sh

BARE=${BARE:-build/bare/bridge}
NEIGHBOUR=${NEIGHBOUR:-build/static/neighbour}
port=$((24000 + $$ % 4000 * 2))
qemu=
trap '[ -z "$qemu" ] || kill "$qemu" 2>/dev/null; rm -rf "$T"' EXIT

if [ ! -f "$BARE" ]; then
    skip 'driver on QEMU' 'not built: lwIP could not be fetched (make bridge says why)'
    exit 0
fi

begin 'driver on QEMU: it starts'
qemu-system-x86_64 -machine pc,accel=tcg -m 64 -nodefaults -display none -no-reboot \
    -serial "file:$T/serial" -kernel "$BARE" -device e1000,netdev=n,mac=52:54:00:00:00:01 -netdev \
    "dgram,id=n,local.type=inet,local.host=127.0.0.1,local.port=$port,remote.type=inet,remote.host=127.0.0.1,remote.port=$((port + 1))" \
    >"$T/qemu" 2>&1 </dev/null &
qemu=$!
timeout -k 5 "${QEMU_LIMIT:-300}" "$NEIGHBOUR" $((port + 1)) "$port" 2000 >"$T/neighbour" 2>&1
status=$?
# It reports once a second.
tries=0
while ! grep -Eq '^frames: [0-9]{4,} in' "$T/serial" && [ "$tries" -lt 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
cp "$T/serial" "$T/out" 2>/dev/null
cat "$T/qemu" >>"$T/out"
want_out '^82540EM at [0-9a-f]*, 52:54:00:00:00:01, link'
want_out '^ready'
want_out '^frames: [0-9]{4,} in, [0-9]{4,} out, [0-9]+ doorbells, 0 bad,'
want_no_out FAIL
end
sed 's/^\(PASS\|FAIL\) /\1 driver on QEMU: /' "$T/neighbour"
[ "$status" = 0 ] || exit 1
finish
