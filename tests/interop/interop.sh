# SPDX-License-Identifier: BSD-2-Clause
#
# Foreign drivers against our bridge: Debian's Linux and iPXE, each in a QEMU with an e1000, joined
# by UDP in QEMU's `-netdev dgram` format to a node whose bridge PE answers pings and UDP echo.  Both
# sides record, and the recordings have to agree frame by frame.
set -u
. tests/lib.sh

LIMIT=${INTEROP_LIMIT:-400} # seconds for a guest; only ends what hangs
ROM=/usr/lib/ipxe/qemu/pxe-e1000.rom
base=$((20000 + $$ % 20000))
node=
guest=
stop() # pid
{
    [ -z "$1" ] || kill "$1" 2>/dev/null
    [ -z "$1" ] || wait "$1" 2>/dev/null
}
trap 'stop "$guest"; stop "$node"; rm -rf "$T"' EXIT

for need in /dev/kvm build/guest/bridge build/stock/e1000.ko; do
    if [ ! -e $need ]; then
        skip interop "no $need"
        finish
    fi
done

cat >"$T/node.ini" <<END
[boot]
images = $PWD/build/guest
[run]
timeout = 3000
[node 0]
pes = 1-2
line = idle
listen = 127.0.0.1:$base
[node 1]
pes = 3-4
line = idle
listen = 127.0.0.1:$((base + 1))
END
OUR_MAC=52:53:56:00:00:00

start_node() # name
{
    "$SEMPERVM" run --node 0 --pcap "$T/$1.pcapng" --stats "$T/node.ini" >"$T/out" 2>"$T/err" &
    node=$!
    last="node of $1"
}

# Ends the node; its recording is complete then.
stop_node()
{
    stop "$node"
    node=
}

# qemu NAME ARGUMENT...: with its console in $T/console.
qemu()
{
    name=$1
    shift
    timeout --foreground -k 5 "$LIMIT" qemu-system-x86_64 -accel tcg -nodefaults -display none \
        -no-reboot -serial stdio -device e1000,netdev=n,mac=52:54:00:00:00:02,bootindex=1"$rom" \
        -netdev "dgram,id=n,local.type=inet,local.host=127.0.0.1,local.port=$((base + 1)),\
remote.type=inet,remote.host=127.0.0.1,remote.port=$base" \
        -object "filter-dump,id=f,netdev=n,file=$T/$name.pcap,maxlen=70000" "$@" >"$T/console" 2>&1
}

agree() # name least
{
    build/pcapcmp "$T/$1.pcapng" "$T/$1.pcap" $OUR_MAC "$2" >"$T/out" 2>"$T/err" ||
        bad "the recordings differ: $(cat "$T/out" "$T/err")"
}

begin 'interop: Linux pings the bridge and exchanges UDP, IPv4 and IPv6'
mkdir -p "$T/tree/bin" "$T/tree/dev" "$T/tree/proc" "$T/tree/sys"
cp /bin/busybox "$T/tree/bin/"
ln -s busybox "$T/tree/bin/sh"
cp build/stock/e1000.ko build/static/talk "$T/tree/"
cp tests/interop/init "$T/tree/init"
chmod 755 "$T/tree/init"
(cd "$T/tree" && find . | cpio -o -H newc --quiet) >"$T/initrd"
rom=,romfile=
start_node linux
qemu linux -m 512 -kernel build/stock/vmlinuz -initrd "$T/initrd" \
    -append 'console=ttyS0 quiet panic=-1'
stop_node
tr -d '\r' <"$T/console" >"$T/out"
want_out 'talk 10.83.0.1: 20 of 20 pings, ([0-9]+) of \1 datagrams'
want_out 'talk fd83::1: 20 of 20 pings, ([0-9]+) of \1 datagrams'
want_out 'init: talk ended with status 0'
end

begin 'interop: Linux and the bridge recorded the same frames'
agree linux 400
end

# Waits until the console has the pattern.
expect()
{
    i=0
    until grep -q "$1" "$T/console" 2>/dev/null; do
        i=$((i + 1))
        if [ -n "$reason" ] || [ $i -gt $((LIMIT * 4)) ] || ! kill -0 "$guest" 2>/dev/null; then
            bad "iPXE does not say: $1"
            return
        fi
        sleep 0.25
    done
}

# Types a line, a character when the one before has been echoed: iPXE's serial port has no queue.
type_line()
{
    rest=$1
    while [ -n "$rest" ] && [ -z "$reason" ]; do
        before=$(wc -c <"$T/console")
        printf '%c' "$rest" >&3
        rest=${rest#?}
        i=0
        until [ "$(wc -c <"$T/console")" -gt "$before" ]; do
            i=$((i + 1))
            [ $i -le $((LIMIT * 20)) ] || { bad "iPXE does not echo: $1"; break; }
            sleep 0.05
        done
    done
    printf '\r' >&3
}

if [ ! -e $ROM ]; then
    skip 'interop: iPXE' "no $ROM"
    finish
fi
begin 'interop: iPXE resolves the bridge and exchanges UDP'
rom=,romfile=$ROM
start_node ipxe
mkfifo "$T/keys"
: >"$T/console"
qemu ipxe -machine pc,graphics=off -m 64 <"$T/keys" &
guest=$!
exec 3>"$T/keys"
expect 'Ctrl-B for the iPXE command line'
printf '\002' >&3
expect 'iPXE> '
type_line 'set net0/ip 10.83.0.2'
type_line 'set net0/netmask 255.255.255.0'
type_line 'ifopen net0'
# No `ping` in Debian's ROM, and no server here: a request to the echo port comes back as it is.
type_line 'imgfetch tftp://10.83.0.1:7/hello'
expect 'hello.*\(rror\|timed out\|not supported\|nvalid\)'
type_line 'ifstat net0'
expect '\[RXE: .*Invalid'
stop "$guest"
guest=
exec 3>&-
stop_node
tr -d '\r' <"$T/console" >"$T/out"
want_out 'Link:up, TX:[1-9][0-9]* '
# What its TFTP got back is its own request, which is no answer.
want_out 'RXE: [1-9][0-9]* x "Invalid argument'
end

begin 'interop: iPXE and the bridge recorded the same frames'
agree ipxe 2
end
finish
