#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The command line: help, version, doctor, check, and what run prints when all is well.
set -u
. tests/lib.sh

begin 'cli: --help'
vm --help
want_status 0
for word in run check doctor 'Exit status'; do
    want_out "$word"
done
want_no_err .
end

begin 'cli: run --help names every option'
vm run --help
want_status 0
for word in pes spm dram images fs timeout until-idle log prefix color report stats; do
    want_out "--$word"
done
want_no_err .
end

begin 'cli: --version'
vm --version
want_status 0
want_out '^sempervm [0-9]'
want_count 1 .
end

begin 'cli: no arguments'
vm
want_status 2
want_err 'sempervm'
end

begin 'cli: doctor'
vm doctor
want_status 0
want_out '^ok .*/dev/kvm'
# A container may hide what tells them apart.
[ ! -d /sys/module ] || want_out 'KVM flavour: (kvm_pvm|kvm_amd|kvm_intel)'
want_no_out '^fail'
[ "$(grep -cEv '^(ok|warn) ' "$T/out")" = 0 ] || bad 'a line is neither ok nor warn'
end

begin 'cli: hello without a kernel'
vm run --pes 1 --timeout "$VM_LIMIT" -- hello
want_status 0
want_count 1 'Hello World'
end

begin 'cli: hello under the kernel'
vm run --timeout "$VM_LIMIT" -- kernel hello
want_status 0
want_count 1 'Hello World'
want_no_err .
end

begin 'cli: the grammar of SemperOS: groups of programs'
vm run --timeout "$VM_LIMIT" -- kernel hello -- hello -- hello
want_status 0
want_count 3 'Hello World'
end

begin 'cli: --prefix names the PE'
vm run --timeout "$VM_LIMIT" --prefix -- kernel hello
want_status 0
want_out '^\[PE 2\] Hello World$'
end

begin 'cli: plain when it is no terminal'
vm run --timeout "$VM_LIMIT" --prefix -- kernel hello
want_no_out "$(printf '\033')"
end

begin 'cli: --color=always'
vm run --timeout "$VM_LIMIT" --prefix --color=always -- kernel hello
want_status 0
want_out "$(printf '\033')\[[0-9;]*m.*PE 2"
end

begin 'cli: --stats'
vm run --timeout "$VM_LIMIT" --stats -- kernel hello
want_status 0
cat "$T/out" "$T/err" >"$T/both"
mv "$T/both" "$T/out"
want_out 'PE 1: '
want_out 'PE 2: '
want_out 'exits .*command [1-9]'
want_out 'commands .*send [1-9]'
want_out 'messages  sent [0-9]+ \([0-9]+ bytes\) received [1-9][0-9]* \([1-9]'
want_out 'waited [0-9.]+ ms'
end

begin 'cli: --log debug'
vm run --timeout "$VM_LIMIT" --log debug -- kernel hello
want_status 0
want_out 'Hello World'
end

begin 'cli: other sizes of memory'
vm run --spm 4M --dram 7G --timeout "$VM_LIMIT" -- kernel hello
want_status 0
want_count 1 'Hello World'
end

if [ -z "${STOCK:-}" ]; then
    begin 'cli: a machine of 640 PEs'
    vm run --pes 640 --timeout "$VM_LIMIT" -- kernel hello
    want_status 0
    want_count 1 'Hello World'
    end
else
    skip 'cli: a machine of 640 PEs' 'too large for the machine under QEMU'
fi

# ---- check

begin 'check: the demos'
n=0
for f in demos/*.ini; do
    n=$((n + 1))
    vm check "$f"
    want_status 0
    want_no_err .
done
[ "$n" -ge 3 ] || bad "only $n demos"
end

begin 'check: line numbers, all complaints at once'
cat >"$T/bad.ini" <<'INI'
[machine]
pes = 4
spm = huge
[nowhere]
x = 1
[run]
colour = green
[boot]
line = kernel hello
line
INI
vm check "$T/bad.ini"
want_status 2
want_err 'bad\.ini:3: .*(spm|huge)'
want_err 'bad\.ini:(4|5): .*(nowhere|x)'
want_err 'bad\.ini:7: .*colour'
want_err 'bad\.ini:10: '
want_no_out .
end

begin 'check: a file that is no text'
head -c 3000 "$SEMPERVM" >"$T/bin.ini"
vm check "$T/bin.ini"
want_status 2
want_err 'bin\.ini'
end

begin 'check: a folder'
vm check "$T"
want_status 2
want_err .
end

begin 'check: a good file'
cat >"$T/ok.ini" <<'INI'
[machine]
pes = 3
[boot]
line = kernel hello
INI
vm check "$T/ok.ini"
want_status 0
want_out .
end

begin 'run: a machine file'
vm run --timeout "$VM_LIMIT" "$T/ok.ini"
want_status 0
want_count 1 'Hello World'
end

begin 'run: the boot line after -- replaces that of the file'
vm run --timeout "$VM_LIMIT" "$T/ok.ini" -- kernel hello -- hello
want_status 0
want_count 2 'Hello World'
end

begin "run: SemperOS' boot files"
printf 'kernel\nhello\nhello' >"$T/hello.cfg"
vm run --timeout "$VM_LIMIT" --images "${GUESTS:-build/guest}" "$T/hello.cfg"
want_status 0
want_count 2 'Hello World'
end

finish
