/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * selftest: the system calls and the DTU's promises, seen from two applications.  One line per
 * test, then "N passed, M failed"; exit status 0 when M is 0.
 */
#include <stdarg.h>

#include "fmt.h"
#include "print.h"
#include "selftest.h"
#include "start.h"

static const struct {
    const char *what;
    const char *(*fn)(void);
} tests[] = {
    {"NOOP x3", test_noop},
    {"CREATEGATE", test_creategate},
    {"REVOKE", test_revoke},
    {"REVOKE of a missing selector is refused", test_revoke_missing},
    {"create/revoke x10,000 without a leak", test_create_revoke},
    {"delegate to the second VPE, which sends through the gate and is heard", test_delegate},
    {"cross-VPE revoke, after which that VPE's next send fails", test_cross_revoke},
    {"exchange/revoke x1,000", test_exchange_revoke},
    {"obtain", test_obtain},
    {"chain of depth 1 revoked whole", test_chain_1},
    {"chain of depth 10 revoked whole", test_chain_10},
    {"chain of depth 100 revoked whole", test_chain_100},
    {"chain of depth 1,000 revoked whole", test_chain_1000},
    {"memory gate: write and read", test_mem_transfer},
    {"memory gate: bounds errors", test_mem_bounds},
    {"memory gate: permission errors", test_mem_perm},
    {"a forged header is impossible", test_forge},
    {"an unprivileged PE cannot write its endpoints", test_store},
};

const char *fail(const char *format, ...)
{
    static char reason[200];
    va_list ap;

    va_start(ap, format);
    fmt_vsnprintf(reason, sizeof(reason), format, ap);
    va_end(ap);
    return reason;
}

static unsigned report(const char *what, const char *reason)
{
    if (reason)
        print("FAIL %s: %s\n", what, reason);
    else
        print("ok   %s\n", what);
    return reason != NULL;
}

int main(int argc, char **argv)
{
    const unsigned total = sizeof(tests) / sizeof(tests[0]);
    unsigned failed = 0;
    const char *reason = servant_begin();

    (void)argc;
    (void)argv;
    if (reason) {
        print("FAIL the second VPE: %s\n0 passed, %u failed\n", reason, total);
        return 1;
    }
    for (unsigned i = 0; i < total; i++)
        failed += report(tests[i].what, tests[i].fn());
    reason = servant_end();
    if (reason)
        failed += report("the second VPE's end", reason);
    print("%u passed, %u failed\n", total - (failed < total ? failed : total), failed);
    return failed ? 1 : 0;
}
