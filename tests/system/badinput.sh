#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Bad input: one line that names the thing, the documented exit status, nothing left behind.
set -u
. tests/lib.sh

guests=${GUESTS:-build/guest}
sane="$T/sane"
mkdir "$sane"
cp "$guests"/* "$sane/" 2>/dev/null

# patch FILE OFFSET BYTES: BYTES as printf's escapes.
patch()
{
    # shellcheck disable=SC2059 # the escapes are the point
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# fresh: a folder $img of good programs to spoil one in.
fresh()
{
    img="$T/img"
    rm -rf "$img"
    cp -r "$sane" "$img"
}

run_img()
{
    vm run --images "$img" --timeout "$VM_LIMIT" "$@"
}

# refused STATUS REGEX: what the last vm must have said, and nothing on standard output.
refused()
{
    want_status "$1"
    want_one_line_err "$2"
    want_no_out .
    end
}

# ---- programs

begin 'bad ELF: missing program'
fresh
rm "$img/hello"
run_img -- hello
refused 2 'hello'

begin 'bad ELF: missing module of a kernel'
fresh
rm "$img/hello"
run_img -- kernel hello
refused 2 'hello'

begin 'bad ELF: empty file'
fresh
: >"$img/hello"
run_img -- hello
refused 2 'hello'

begin 'bad ELF: not an ELF file'
fresh
echo '#!/bin/sh' >"$img/hello"
run_img -- hello
refused 2 'hello'

for n in 20 64 100 4096; do
    begin "bad ELF: truncated to $n bytes"
    fresh
    head -c "$n" "$sane/hello" >"$img/hello"
    run_img -- hello
    refused 2 'hello'
done

begin 'bad ELF: for another architecture'
fresh
patch "$img/hello" 18 '\267\000' # e_machine := AArch64
run_img -- hello
refused 2 'hello.*(x86|machine|architecture)'

begin 'bad ELF: 32 bits'
fresh
patch "$img/hello" 4 '\001' # EI_CLASS := 32
run_img -- hello
refused 2 'hello'

begin 'bad ELF: a shared object'
fresh
patch "$img/hello" 16 '\003\000' # e_type := ET_DYN
run_img -- hello
refused 2 'hello'

begin 'bad ELF: program headers outside the file'
fresh
patch "$img/hello" 32 '\377\377\377\377\377\377\377\177' # e_phoff
run_img -- hello
refused 2 'hello'

begin 'bad ELF: segment beyond the memory of the PE'
fresh
patch "$img/hello" 88 '\000\000\000\000\000\001\000\000' # first p_paddr := 1 TiB
run_img -- hello
refused 2 'hello'

begin 'bad ELF: segment that wraps around'
fresh
patch "$img/hello" 88 '\377\377\377\377\377\377\377\377'
run_img -- hello
refused 2 'hello'

begin 'bad ELF: segments overlap'
fresh
# The second program header becomes a copy of the first.
dd if="$sane/hello" of="$img/hello" bs=1 skip=64 seek=120 count=56 conv=notrunc 2>/dev/null
run_img -- hello
refused 2 'hello.*overlap'

begin 'bad ELF: segment over the Env'
fresh
patch "$img/hello" 88 '\000\060\000\000\000\000\000\000' # first p_paddr := 0x3000
run_img -- hello
refused 2 'hello'

begin 'bad ELF: a module of a kernel is checked too'
fresh
patch "$img/hello" 18 '\267\000'
run_img -- kernel hello
refused 2 'hello'

begin 'bad ELF: idle missing'
fresh
rm "$img/idle"
run_img -- kernel hello
refused 2 'idle'

begin 'bad images: no such folder'
vm run --images "$T/nowhere" -- hello
refused 2 'nowhere'

# ---- boot lines

begin 'boot line: none'
vm run
want_status 2
want_err '.'
want_no_out .
end

begin 'boot line: empty group'
vm run -- kernel hello -- -- hello
refused 2 .

begin 'boot line: too many PEs asked for'
vm run --pes 4 -- kernel kernel hello pes=30 -- hello
refused 2 '30|PE'

begin 'boot line: pes= is no number'
vm run -- kernel kernel hello pes=many -- hello
want_status 2
head -n 1 "$T/err" | grep -q 'pes=many' || bad 'the first line does not name pes=many'
want_no_out .
end

begin 'boot line: more programs than PEs'
vm run --pes 2 -- kernel hello -- hello -- hello
refused 2 'PE'

begin 'boot line: more than 64 modules'
fresh
set -- kernel
i=0
while [ $i -lt 66 ]; do
    cp "$sane/hello" "$img/h$i"
    set -- "$@" "h$i" --
    i=$((i + 1))
done
run_img --pes 100 -- "$@" hello
refused 2 'modules|programs'

begin 'boot line: more arguments than fit'
long=$(head -c 100000 /dev/zero | tr '\0' a)
vm run -- hello "$long" "$long"
refused 2 'argument|boot line'

# ---- options

# option STATUS REGEX ARGUMENT...
option()
{
    begin "option: $3 ${4:-} ${5:-}"
    want=$1
    regex=$2
    shift 2
    vm "$@"
    want_status "$want"
    want_err "$regex"
    [ "$(wc -l <"$T/err")" -le 2 ] || bad "$last: more than two lines of errors"
    want_no_out .
    end
}
option 2 'pes' run --pes 0 -- hello
option 2 'pes' run --pes 1023 -- hello
option 2 'pes' run --pes -1 -- hello
option 2 'pes' run --pes 3x -- hello
option 2 'pes' run --pes 99999999999999999999 -- hello
option 2 'spm|mem' run --spm 1 -- hello
option 2 'spm' run --spm 8Q -- hello
option 2 'dram' run --dram 1 -- hello
option 2 'timeout' run --timeout soon -- hello
option 2 'timeout' run --timeout -5 -- hello
option 2 'log' run --log loud -- hello
option 2 'color' run --color=sometimes -- hello
option 2 'fs' run --fs "$T/none.img" -- kernel hello
option 2 'nonsense' run --nonsense -- hello
option 2 'nonsense' nonsense
option 2 'none\.ini' run "$T/none.ini"
option 2 'none\.ini' check "$T/none.ini"

# ---- the host

begin 'host: no file descriptors'
vm_in 'ulimit -n 24' run --pes 16 --timeout "$VM_LIMIT" -- kernel hello
want_status 3
want_one_line_err 'ulimit -n|RLIMIT_NOFILE|descriptors'
want_no_out .
end

case $SEMPERVM in
*/thread/* | */address/*) skip 'host: no memory' 'a sanitizer needs more than any limit leaves' ;;
*)
    begin 'host: no memory'
    vm_in 'ulimit -v 300000' run --pes 16 --timeout "$VM_LIMIT" -- kernel hello
    want_status 3
    want_one_line_err 'memory|ulimit -v'
    want_no_out .
    end
    ;;
esac

# A /dev of its own in a mount namespace: without kvm, with something else in its place.
if unshare -m true 2>/dev/null; then
    begin 'host: no /dev/kvm'
    last='without /dev/kvm'
    unshare -m sh -c 'mount -t tmpfs none /dev && exec "$@"' sh \
        "$SEMPERVM" run -- hello >"$T/out" 2>"$T/err" </dev/null
    status=$?
    want_status 3
    want_one_line_err '/dev/kvm'
    want_no_out .
    end

    begin 'host: doctor without /dev/kvm'
    unshare -m sh -c 'mount -t tmpfs none /dev && exec "$@"' sh \
        "$SEMPERVM" doctor >"$T/out" 2>"$T/err" </dev/null
    status=$?
    want_status 3
    want_out '^fail.*/dev/kvm'
    end

    begin 'host: /dev/kvm is something else'
    last='with a wrong /dev/kvm'
    unshare -m sh -c 'mount --bind /dev/null /dev/kvm && exec "$@"' sh \
        "$SEMPERVM" run -- hello >"$T/out" 2>"$T/err" </dev/null
    status=$?
    want_status 3
    want_one_line_err '/dev/kvm'
    end
else
    skip 'host: no /dev/kvm' 'needs a mount namespace (root)'
fi

# No permission: root without the capabilities that let it pass.
if setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null &&
    ! setpriv --reuid 65534 --regid 65534 --clear-groups test -r /dev/kvm; then
    begin 'host: no permission for /dev/kvm'
    chmod 755 "$T"
    mkdir "$T/open"
    cp -r "$SEMPERVM" "$sane" "$T/open/"
    chmod -R a+rX "$T/open"
    last='without permission'
    setpriv --reuid 65534 --regid 65534 --clear-groups "$T/open/sempervm" run \
        --images "$T/open/sane" -- hello >"$T/out" 2>"$T/err" </dev/null
    status=$?
    want_status 3
    want_one_line_err '/dev/kvm.*(permission|group)'
    want_no_out .
    end
else
    skip 'host: no permission for /dev/kvm' 'needs root, setpriv and a /dev/kvm closed to others'
fi

finish
