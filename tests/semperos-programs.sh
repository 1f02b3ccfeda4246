#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# More programs of the original SemperOS on our kernel, beside the same on its own; SEMPEROS as in
# semperos.sh, which has the capability benchmarks.  Where the original is at fault: tests/README.md.
set -u
. tests/lib.sh

if [ -z "${SEMPEROS:-}" ]; then
    skip 'test-semperos (programs)' 'set SEMPEROS to a built SemperOS checkout'
    exit 0
fi
build=$SEMPEROS/build/gem5-${SEMPEROS_BUILD:-release}
bin=$build/bin
host=$(dirname "$SEMPERVM")
VM_LIMIT=200

# mix FOLDER PROGRAM...: the original's programs, these of ours in place of theirs or beside them.
mix()
{
    folder=$T/$1
    shift
    mkdir "$folder"
    for f in "$bin"/*; do
        ln -s "$(realpath "$f")" "$folder/"
    done
    for f; do
        ln -sf "$(realpath "$host/guest/$f")" "$folder/$f"
    done
}

# on FOLDER ARGUMENT...
on()
{
    folder=$T/$1
    shift
    vm run --images "$folder" --pes 16 --timeout 180 "$@"
}

# on_ours ARGUMENT...: our kernel, and nothing that it finds wrong
on_ours()
{
    on ours "$@"
    want_status 0
    want_no_out 'heap use|did not end|does not answer|on PE [0-9]+ is gone'
    want_no_err .
}

mix theirs shell hello hosttest
mix ours kernel idle shell

begin 'semperos: hello on our kernel, and on two of them'
on_ours -- kernel hello
want_count 1 'Hello World'
on_ours -- kernel kernel hello pes=2 -- hello
want_count 2 'Hello World'
end

begin 'semperos: bench-syscall on our kernel'
on_ours -- kernel bench-syscall
want_count 1 '^Per syscall: [1-9]'
end

begin 'semperos: capchain on our kernel, 10 links'
on_ours -- kernel capchain-link 10 daemon -- capchain-root 10 requires=capchain-link
want_count 1 'Avg\. server revoke time: [1-9]'
want_out 'Capchain Link Server shut down \. Return code: No error'
want_no_out 'failed|Error, got|Unable to'
end

begin 'semperos: capchain between two of our kernels, 10 links'
on_ours -- kernel kernel capchain-link 10 daemon pes=2 -- capchain-root 10 requires=capchain-link
want_count 1 'Avg\. server revoke time: [1-9]'
want_out 'Capchain Link Server shut down \. Return code: No error'
want_no_out 'failed|Error, got|Unable to'
end

begin 'semperos: captree, two clients on a second kernel of ours'
on_ours -- kernel kernel captree-client 1 requires=captree-server repeat=2 pes=3 -- \
    captree-server 2 2 daemon
want_count 11 'Revoke [0-9]+: [1-9]'
want_count 1 'Avg\. server revoke time: [1-9]'
want_no_out 'failed|Error, got|Unable to'
end

# The other way round.  Its kernel ends the machine when the client has left, maybe before the last
# lines (`Error (21)`, as in semperos.sh).
begin 'semperos: our hello on its kernel, on two of them, and our hosttest'
on theirs -- kernel hello
want_status 0
want_count 1 'Hello World'
on theirs -- kernel kernel hello pes=2 -- hello
want_status 0
want_count 2 'Hello World'
on theirs -- kernel hosttest serve daemon -- hosttest test requires=hosttest
want_status 0
for line in 'a second session' 'delegate it' 'the service writes it' 'the service ends'; do
    want_out "^[0-9.]+ ok   $line"
done
want_no_out 'FAIL'
end

# How often each text arrived, in whatever pieces.
arrived()
{
    grep -o 'Hello World from [a-z]* [0-9]*' "$T/out" | sort | uniq -c
}

begin 'semperos: pipe on our kernel: what arrives on its own'
on theirs -- kernel pipeserv daemon -- pipe requires=pipe
want_status 0
arrived >"$T/wanted"
[ "$(wc -l <"$T/wanted")" -ge 20 ] || bad 'too little arrives on its own kernel'
on_ours -- kernel pipeserv daemon -- pipe requires=pipe
arrived >"$T/got"
diff "$T/wanted" "$T/got" >"$T/diff" || bad "$last: $(head -n 3 "$T/diff")"
end

# Its unit tests are programs of an image, started with `/` mounted: by our shell, because its own
# exec leaves part of their environment to chance.
begin 'semperos: its unit tests on our kernel: as on its own'
"$host/semperfs" export "$build/default.img" "$T/tree" 2>"$T/err" || bad 'no default.img'
mkdir -p "$T/tree/etc"
: >"$T/tree/etc/demo.sh"
for suite in stream fs fs2 misc; do
    echo "! unittests-$suite" >>"$T/tree/etc/demo.sh" # its exit code is how many tests there were
done
"$host/semperfs" make "$T/img" "$T/tree" 16M 2>"$T/err" || bad 'it cannot be made again'
for machine in theirs ours; do
    on $machine --fs "$T/img" -- kernel m3fs 16777216 daemon -- shell /etc/demo.sh requires=m3fs
    want_status 0
    want_count 1 '^shell: 4 passed, 0 failed$'
    want_count 17 '^  SUCCEEDED!$'
    want_out 'Assert failed in .*misc/Heap\.cc, line 262'
    want_count 1 'Assert failed'
    grep -E '^ *(Testcase|Testsuite|SUCCEEDED|FAILED|Assert|--|[0-9]+ of)' "$T/out" >"$T/$machine.tests"
done
diff "$T/theirs.tests" "$T/ours.tests" >"$T/diff" || bad "another result: $(head -n 3 "$T/diff")"
end

# By its own exec: only where that works on its own kernel.
size=$(stat -L -c %s "$build/default.img")
on theirs --fs "$build/default.img" -- kernel m3fs "$size" daemon -- unittests requires=m3fs
if grep -q 'In total' "$T/out"; then
    begin 'semperos: unittests on our kernel'
    total=$(grep 'In total' "$T/out")
    on_ours --fs "$build/default.img" -- kernel m3fs "$size" daemon -- unittests requires=m3fs
    grep -Fxq -e "$total" "$T/out" || bad "$last: not $total"
    end
else
    skip 'semperos: unittests by its own exec' \
        'it fails on its own kernel, too: libs/m3/arch/baremetal/VPE.cc:108 leaves Env.secondaryrecvbuf undefined'
fi

finish
