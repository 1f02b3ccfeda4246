#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# sempervm caps: a machine with capabilities across two kernels waits until it has been asked; what
# cannot be asked is said in one line.
set -u
. tests/lib.sh

sock=$T/control
mkfifo "$T/pipe"

# start LINE ARGUMENT...: a machine that offers $sock, until it has printed a line like that.
start()
{
    until_line=$1
    shift
    last="sempervm run $*"
    "$SEMPERVM" run --no-prefix --control "$sock" --timeout "$VM_LIMIT" "$@" >"$T/pipe" \
        2>"$T/machine.err" </dev/null &
    machine=$!
    exec 3<"$T/pipe"
    while read -r line <&3; do
        # shellcheck disable=SC2254 # a pattern
        case $line in
        $until_line) return ;;
        esac
    done
    bad "$last: ended before it printed $until_line: $(cat "$T/machine.err")"
}

# stop SIGNAL
stop()
{
    kill -s "$1" "$machine" 2>/dev/null
    cat <&3 >/dev/null
    exec 3<&-
    wait "$machine"
    ended=$?
}

caps()
{
    last="sempervm caps $*"
    timeout -k 5 "$VM_LIMIT" "$SEMPERVM" caps "$@" >"$T/out" 2>"$T/err" </dev/null
    status=$?
}

begin 'caps: two kernels, capabilities in both directions between them'
start 'kernbench: holding *' --pes 5 -- kernel kernel kernbench serve daemon pes=2 -- \
    kernbench hold requires=kernbench
set -- $(echo "$line" | tr -dc '0-9 ')
root=${1:-x} part=${2:-x} copy=${3:-x}
# The other kernel may not have heard yet that what it has reserved is there now.
tries=0
caps "$sock"
while grep -q reserved "$T/out" && [ "$tries" -lt 100 ]; do
    tries=$((tries + 1))
    caps "$sock"
done
want_status 0
want_no_err .
want_out '^kernel 0 on PE 1: 1 VPEs, '
want_out '^kernel 1 on PE [0-9]+: 1 VPEs, '
want_count 2 '^kernel '
want_count 2 '^  PE [0-9]+ kernbench, running: [0-9]+ capabilities$'
client=$(sed -n '2s/^  PE \([0-9]*\) .*/\1/p' "$T/out")
server=$(sed -n '4s/^  PE \([0-9]*\) .*/\1/p' "$T/out")
want_out "^PE$client:$root mem rw- of PE 0, .*\[kernel 0, key [0-9a-f]+\]$"
want_out "^  PE$client:$part mem r-- of PE 0, .*\+0x200 \[kernel 0, "
want_out "^  PE$client:$copy mem rw- of PE 0, .*\[kernel 0, "
want_out "^  PE$server:[0-9]+ mem rw- of PE 0, .*\[kernel 1, "
want_out "^PE$server:[0-9]+ service kernbench \[kernel 1, "
want_out "^  PE$client:[0-9]+ session 0x1 with another kernel's service \[kernel 0, "
want_no_out 'nobody showed|reserved|circles|more than once'
# What it says of numbers is what it shows.
said=$(sed -n 's/^kernel .* VPEs, \([0-9]*\) capabilities.*/\1/p' "$T/out" |
    awk '{ n += $1 } END { print n }')
want_count "$said" '^ *PE[0-9]+:[0-9]+ '
mv "$T/out" "$T/tree"
end

begin 'caps: as a graph'
caps --dot "$sock"
want_status 0
want_count 1 '^digraph capabilities \{$'
want_count 2 '^  subgraph cluster_k[01] \{$'
want_count "$said" '^      c[0-9]+ \[label='
want_count 3 '^  c[0-9]+ -> c[0-9]+ \[style=dashed\];$'
want_last_line '^\}$'
if command -v dot >/dev/null; then
    dot -Tsvg -o "$T/svg" "$T/out" 2>"$T/err" || bad 'dot does not take it'
    grep -q '</svg>' "$T/svg" || bad 'dot makes nothing of it'
fi
end

begin 'caps: asked again and again, two at a time, the machine says the same and goes on'
i=0
while [ "$i" -lt 3 ]; do
    timeout -k 5 "$VM_LIMIT" "$SEMPERVM" caps "$sock" >"$T/two" 2>&1 </dev/null &
    two=$!
    caps "$sock"
    want_status 0
    wait "$two" || bad 'the second client was refused'
    cmp -s "$T/tree" "$T/out" || bad "$last: another tree"
    cmp -s "$T/tree" "$T/two" || bad "$last: another tree for the second client"
    i=$((i + 1))
done
kill -0 "$machine" 2>/dev/null || bad 'the machine has ended'
end

begin 'caps: the socket is its owner'\''s, and goes with the machine'
[ "$(stat -c %a "$sock")" = 600 ] || bad "its mode is $(stat -c %a "$sock")"
vm run --control "$sock" -- kernel hello
want_status 3
want_one_line_err "^sempervm: --control $sock: Address already in use: "
caps "$sock"
want_status 0
stop TERM
[ "$ended" = 143 ] || bad "the machine ended with status $ended"
[ ! -e "$sock" ] || bad 'it is still there'
end

begin 'caps: no machine, a file, a machine that was killed'
caps "$sock"
want_status 3
want_one_line_err "^sempervm: no machine at $sock: No such file or directory: "
: >"$T/file"
caps "$T/file"
want_status 3
want_one_line_err "^sempervm: no machine at $T/file: "
start 'kernel 0: started kernbench*' --pes 2 -- kernel kernbench serve
stop KILL
[ -S "$sock" ] || bad 'the killed machine has left no socket'
caps "$sock"
want_status 3
want_one_line_err "^sempervm: no machine at $sock: Connection refused: "
vm run --control "$sock" --pes 3 -- kernel hello
want_status 0
want_no_err .
[ ! -e "$sock" ] || bad 'the next machine did not take its place'
end

begin 'caps: a socket that is none'
rm -f "$sock"
"$SEMPERVM" run --timeout "$VM_LIMIT" --nic "pe=1,stream=listen:unix:$T/nic" -- nictest echo \
    >/dev/null 2>&1 </dev/null &
other=$!
tries=0
while [ ! -S "$T/nic" ] && kill -0 "$other" 2>/dev/null; do
    tries=$((tries + 1))
done
caps "$T/nic"
want_status 3
want_one_line_err "^sempervm: $T/nic: no answer: "
kill "$other" 2>/dev/null
wait "$other" 2>/dev/null
end

begin 'caps: a machine without a kernel that can be asked'
"$SEMPERVM" run --control "$sock" --timeout "$VM_LIMIT" --pes 2 -- idle >/dev/null 2>&1 </dev/null &
machine=$!
while [ ! -S "$sock" ] && kill -0 "$machine" 2>/dev/null; do
    :
done
caps "$sock"
want_status 1
want_one_line_err "^sempervm: $sock: no kernel there that can be asked"
kill "$machine"
wait "$machine"
end

begin 'caps: a machine whose PEs are all over has ended'
vm run --control "$sock" --pes 1 --timeout "$VM_LIMIT" -- hello
want_status 0
want_no_err .
end

begin 'caps: usage'
caps
want_status 2
caps --dott "$sock"
want_status 2
caps "$sock" "$sock"
want_status 2
long=$(printf '%0120d' 0)
caps "$long"
want_status 3
want_one_line_err 'longer than a socket'
vm run --control "$long" -- kernel hello
want_status 3
want_one_line_err 'longer than 107 characters'
vm run --control '' -- kernel hello
want_status 3
want_one_line_err "^sempervm: --control '': no path"
vm run --control "$sock" --seed 1 -- kernel hello
want_status 2
want_one_line_err '^sempervm: .*--control .*leave out --seed$'
end

finish
