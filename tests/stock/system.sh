#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The system tests on stock KVM: all of tests/system in one machine under QEMU.  `make test-stock`
# builds what it needs.
set -u
limit=${STOCK_TIMEOUT:-2000}
log=$(mktemp) || exit 1
trap 'rm -f "$log" "$log.status"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if sh tests/stock/run.sh -t 90 probe >"$log" 2>&1; then
    echo "PASS stock: kvm_amd under QEMU ($(tail -n 1 "$log"))"
else
    cat "$log"
    echo "FAIL stock: kvm_amd under QEMU runs no guest"
    exit 1
fi

items=
for f in tests/system/*.sh; do
    items="$items script:$f"
done
# Emulation is slow: the limits, which only end what hangs, are wider inside.  The counts at the end
# are the outer run's business.
{
    # shellcheck disable=SC2086 # a list
    sh tests/stock/run.sh -t "$limit" env VM_LIMIT=200 STOCK=yes TEST_TIMEOUT="$limit" \
        sh tests/run $items 2>&1
    echo $? >"$log.status"
} | grep -Ev --line-buffered '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' | tee "$log"
status=$(cat "$log.status")
if [ "$status" != 0 ] && ! grep -q '^FAIL ' "$log"; then
    echo "FAIL stock: the tests inside ended with status $status"
fi
exit "$status"
