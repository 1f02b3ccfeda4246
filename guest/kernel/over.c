/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that end without EXIT: they crashed, or ended their PE by its register.  They tell
 * nobody, but the VMM does (VREG_OVER): all that they held goes, as if they had sent EXIT.
 */
#include "hw.h"
#include "kernel.h"
#include "print.h"
#include "vreg.h"

static bool is_over(const struct vpe *v)
{
    uint64_t over = 0;

    return hw_read(v->pe, v->pe, VREG_BASE + VREG_OVER, &over, sizeof(over)) == SE_OK && over;
}

void vpe_bury(void)
{
    for (unsigned i = 0; i < kern.pe_count; i++) {
        struct vpe *v = kern.pes[kern.pe_order[i]].vpe;

        if (!v || !is_over(v))
            continue;
        print("kernel %u: %s on PE %u has crashed\n", kern.id, v->name, v->pe);
        if (v->refs == 0 || (v->flags & VPE_F_BOOT))
            kern.stats.failed++;
        vpe_exit(v, VPE_CRASHED);
    }
    vpe_reap();
}
