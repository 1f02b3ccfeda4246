#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Services on one kernel: demos/services.ini, and how machines with services end.
set -u
. tests/lib.sh

begin 'services: all tests pass'
vm run --timeout "$VM_LIMIT" demos/services.ini
want_status 0
want_count 1 '^srvtest: 0 failed$'
want_no_out 'FAIL'
want_no_err .
# The service was told to shut down, when the test's session had been closed with its end.
want_out '^srvtest: shutdown with 0 sessions open$'
want_out '^capclient: 19 rounds, avg\. obtain [1-9][0-9]* cycles, avg\. revoke [1-9][0-9]* cycles$'
want_out '^capserver: 20 capabilities given, 20 revoked, avg\. revoke [1-9][0-9]* cycles$'
# All daemons ended by themselves, and the kernel has nothing to say about its heap.
want_count 0 'heap use|did not end'
cp "$T/out" "$T/kept"
end

while read -r line; do
    begin "services: $line"
    grep -Eq "^ok +$line\$" "$T/kept" || bad 'no such line'
    end
done <<LINES
a session with nobody
a session that is denied
obtain a gate
obtain memory
obtain what is refused
more than was asked for
the client's endpoint is dead
the service reads it
the service cannot read it any more
the service was told
the same name again
its session is gone
OBTAIN cut short
it ends in the middle of a request
LINES

begin 'services: the same seed, the same run'
vm run --seed 1 --timeout "$VM_LIMIT" demos/services.ini
want_status 0
want_out 'srvtest: 0 failed'
cat "$T/out" "$T/err" | grep 'trace hash' >"$T/hash"
vm run --seed 1 --timeout "$VM_LIMIT" demos/services.ini
cat "$T/out" "$T/err" | grep 'trace hash' >"$T/hash2"
[ -s "$T/hash" ] || bad 'no trace hash'
cmp -s "$T/hash" "$T/hash2" || bad 'another trace hash'
end

begin 'services: a service that nobody offers'
vm run --pes 4 --timeout "$VM_LIMIT" -- kernel srvtest test requires=nothing
want_status 1
want_out 'nobody offers the service nothing'
end

# Virtual time again: neither daemons that go on for ever nor other kernels say that it never comes.
begin 'services: a service that no kernel offers'
vm run --seed 1 --pes 6 --timeout "$VM_LIMIT" -- kernel kernel hello requires=nothing pes=2 -- hello
want_out 'kernel 1: nobody offers the service nothing'
want_out '^Hello World$'
end

begin 'services: a service that nobody offers, beside a daemon'
vm run --seed 1 --pes 6 --timeout "$VM_LIMIT" -- kernel capserver 3 daemon -- hello requires=nothing
want_status 1
want_out 'nobody offers the service nothing'
end

begin 'services: a second service of that name'
vm run --pes 4 --timeout "$VM_LIMIT" -- kernel srvtest serve twice daemon -- srvtest serve twice
want_status 1
want_out 'twice cannot be registered: error 13'
end

begin 'services: requires= waits for a service that starts later'
vm run --pes 5 --timeout "$VM_LIMIT" -- kernel capclient 3 requires=capserver -- capserver 3 daemon
want_status 0
want_out '^capclient: 2 rounds'
want_out '^capserver: 3 capabilities given, 3 revoked'
end

# The machine tells the kernel of a crash; the caller gets an error.  (One that is only silent is
# given up after a time, strangers in tests/unit.)
begin 'services: a service that crashes in the middle of a request'
vm run --seed 1 --pes 5 --timeout "$VM_LIMIT" -- kernel srvtest serve mortal daemon -- \
    srvtest crash requires=mortal
want_out 'srvtest on PE 2 has crashed'
want_out '^ok +it crashes in the middle of a request$'
want_out '^srvtest: 0 failed$'
end

finish
