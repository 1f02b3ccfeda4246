/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/insn.c */
/*
 * The decoder reads whatever lies at a guest's RIP.  What it accepts must be consistent: a length
 * within the input, and a relocated copy that decodes to the same operation.
 */
#include <stdlib.h>
#include <string.h>

#include "../../vmm/insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t gpr[16] = {0};
    uint8_t copy[INSN_MAX];
    struct insn in, out;
    unsigned n;

    if (!insn_decode(data, size, &in))
        return 0;
    if (in.len == 0 || in.len > size || in.len > INSN_MAX)
        abort();
    insn_address(&in, gpr, 0);
    if (insn_sse(&in) == INSN_SSE_NONE || insn_is_noop(&in))
        return 0;
    n = insn_relocate(&in, 0x100, copy);
    if (n && (!insn_decode(copy, n, &out) || out.len != n || insn_sse(&out) != insn_sse(&in)))
        abort();
    return 0;
}
