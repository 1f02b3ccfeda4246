/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names for addresses.  Which program a PE runs is known to the kernel that started it, not to the
 * VMM; but the bytes at RIP give it away.
 */
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "loader.h"

static int executable(const struct elf *e, uint64_t rip)
{
    for (unsigned i = 0; i < e->nseg; i++) {
        struct elf_segment s;

        elf_segment(e, i, &s);
        if ((s.flags & PF_X) && rip >= s.addr && rip - s.addr < s.memsz)
            return 1;
    }
    return 0;
}

/* At least half of the bytes must agree: what is patched or overwritten still has a name. */
static const struct loader_module *find_module(const struct loader_result *r, uint64_t rip,
                                               const uint8_t *bytes, size_t n)
{
    const struct loader_module *best = NULL;
    size_t most = 0;

    for (unsigned i = 0; i < r->nmod; i++) {
        const struct elf *e = &r->mod[i].elf;
        size_t same;

        if (!executable(e, rip))
            continue;
        same = elf_match(e, rip, bytes, n);
        if (same >= (n + 1) / 2 && (!best || same > most)) {
            best = &r->mod[i];
            most = same;
        }
    }
    return best;
}

int loader_symbol(const struct loader_result *r, uint64_t rip, const uint8_t *bytes, size_t n,
                  char *buf, size_t len)
{
    const struct loader_module *mod = find_module(r, rip, bytes, n);
    const char *name;
    uint64_t offset = 0;

    if (!mod) {
        snprintf(buf, len, "?");
        return -ENOENT;
    }
    name = elf_symbol(&mod->elf, rip, &offset);
    if (name)
        snprintf(buf, len, "%s!%s+%#" PRIx64, mod->name, name, offset);
    else
        snprintf(buf, len, "%s+%#" PRIx64, mod->name, rip);
    for (char *p = buf; len && *p; p++)
        if (!isprint((unsigned char)*p))
            *p = '?';
    return 0;
}
