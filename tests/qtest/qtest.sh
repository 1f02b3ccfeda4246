# SPDX-License-Identifier: BSD-2-Clause
#
# Scripts from seeds into QEMU's e1000 and ours: QTEST_COUNT of them (100), from QTEST_SEED (1), for
# at most QTEST_SECONDS (120).  See netdev/README.md for what may differ.
if ! command -v qemu-system-x86_64 >/dev/null; then
    echo "SKIP qtest: no qemu-system-x86_64"
    exit 0
fi
exec build/qtest --seed "${QTEST_SEED:-1}" --count "${QTEST_COUNT:-100}" \
    --seconds "${QTEST_SECONDS:-120}"
