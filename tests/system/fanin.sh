#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Many VPEs that all speak to their kernel at once: every call is answered, with and without rings.
# How fairly is `make bench`'s to say (fanin_512): here nothing depends on speed.
set -u
. tests/lib.sh

for rings in yes no; do
    n=40
    [ $rings = yes ] || n=12
    begin "fanin: $n clients of one kernel, --rings $rings: every message is answered"
    vm run --timeout "$VM_LIMIT" --rings $rings --pes $((n + 3)) --no-prefix -- kernel fanin $n 5
    want_status 0
    want_out "^FANIN $n [0-9]+:( 5){$n}\$"
    want_out "^FANINEXITS [0-9]+ $((5 * n))\$"
    want_out "^fanin: $n clients, $((5 * n)) calls answered, 0 clients with too few\$"
    end
done

begin 'fanin: two kernels'
vm run --timeout "$VM_LIMIT" --pes 26 --no-prefix -- kernel kernel fanin 10 5 pes=12 -- fanin 10 5
want_status 0
want_count 2 '^fanin: 10 clients, 50 calls answered, 0 clients with too few$'
end

finish
