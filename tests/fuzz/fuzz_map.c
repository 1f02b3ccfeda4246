/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mapped memory gates with hostile PEs: requests with any numbers, at any address, while kernels
 * change endpoints and VPE ids and CPUs start anew.  After every step all that is alive must be
 * what the endpoints say at that moment, and a window must show that and nothing else; a request
 * that a READ of the same bytes would be allowed is served.
 */
/* LINK: vdtu vmm/mapwin.c */
#include "../unit/map_fixture.h"
#include "input.h"

/* Mostly small numbers of pages; sometimes everything around the limits. */
static uint64_t number(struct input *in)
{
    unsigned b = byte(in);
    uint64_t v = b % 10 * (uint64_t)MAP_PAGE;

    switch (b / 16) {
    case 0:
        return v + byte(in);
    case 1:
        return -v;
    case 2:
        return DTU_BASE - v;
    case 3:
        return (uint64_t)byte(in) << (b % 64);
    case 4:
        return ~0ull - byte(in);
    default:
        return v;
    }
}

/* ---- what must hold ---- */

static uint64_t reg(struct mx *x, unsigned pe, unsigned off)
{
    return vdtu_reg(x->pe[pe].d, off);
}

/* Does endpoint ep of pe, as it is, allow these bytes?  *at: where they are in the memfd. */
static bool allowed(struct mx *x, unsigned pe, const struct map_request *r, uint64_t *at)
{
    uint64_t r0, base, r2, size;
    unsigned t;

    if (r->ep >= DTU_EPS || (r->perm != DTU_PERM_R && r->perm != DTU_PERM_RW))
        return false;
    r0 = reg(x, pe, DTU_EP(r->ep, 0));
    base = reg(x, pe, DTU_EP(r->ep, 1));
    r2 = reg(x, pe, DTU_EP(r->ep, 2));
    size = r0 & ((1ull << 61) - 1);
    t = r2 >> 4 & 0x3FF;
    if (r0 >> 61 != DTU_EP_MEM || (r2 & r->perm) != r->perm || t >= MX_PES || t == pe ||
        (r2 >> 14 & 0x7FF) != (uint16_t)reg(x, t, DTU_VPE_ID))
        return false;
    *at = base + r->offset + t * (uint64_t)MX_MEM;
    return r->size > 0 && r->size <= MX_MEM && r->size % MAP_PAGE == 0 && r->offset <= size &&
           r->size <= size - r->offset && base <= MX_MEM && r->offset <= MX_MEM - base &&
           r->size <= MX_MEM - base - r->offset && (base + r->offset) % MAP_PAGE == 0;
}

static bool in_window(struct mx *x, unsigned pe, const struct map_request *r)
{
    uint64_t at = r->addr - MAP_WINDOW_GPA, window = mx_table(x, pe)->window;

    return r->addr >= MAP_WINDOW_GPA && at % MAP_PAGE == 0 && at <= window &&
           r->size <= window - at;
}

static struct map_request of(const struct map_entry *e)
{
    return (struct map_request){e->addr, e->size, e->offset, e->ep, e->perm};
}

/* Which entry has that page?  Two must not. */
static const struct map_entry *entry_at(struct mx *x, unsigned pe, uint64_t addr)
{
    const struct map_entry *found = NULL;

    for (unsigned i = 0; i < MAP_ENTRIES; i++) {
        const struct map_entry *e = &mx_table(x, pe)->entry[i];

        if (MAP_STATE(e->word) == MAP_FREE || addr < e->addr || addr - e->addr >= e->size)
            continue;
        PE_WANT(!found);
        found = e;
    }
    return found;
}

static void check_page(struct mx *x, unsigned pe, uint64_t page, uint8_t mark)
{
    const struct map_entry *e = entry_at(x, pe, MAP_WINDOW_GPA + page);
    uint8_t v = 0, was;
    struct map_request r;
    uint64_t at;

    if (!e) {
        PE_WANT(!mx_peek(x, pe, page, &v) && !mx_poke(x, pe, page, mark));
        return;
    }
    if (MAP_STATE(e->word) == MAP_DEAD) {
        PE_WANT(mx_poke(x, pe, page, mark) && mx_peek(x, pe, page, &v) && v == mark);
        return;
    }
    r = of(e);
    PE_WANT(MAP_STATE(e->word) == MAP_LIVE && in_window(x, pe, &r) && allowed(x, pe, &r, &at));
    at += MAP_WINDOW_GPA + page - e->addr;
    was = x->map[at];
    PE_WANT(mx_peek(x, pe, page, &v) && v == was);
    if (e->perm == DTU_PERM_RW) {
        PE_WANT(mx_poke(x, pe, page, mark) && x->map[at] == mark);
        x->map[at] = was;
    } else {
        PE_WANT(!mx_poke(x, pe, page, mark) && x->map[at] == was);
    }
}

/* Each page of each memory has a first byte of its own, which nobody else changes. */
static void check(struct mx *x, uint8_t mark)
{
    for (unsigned pe = 1; pe < MX_PES; pe++)
        for (uint64_t page = 0; page < MX_WIN; page += MAP_PAGE)
            check_page(x, pe, page, mark);
    for (unsigned i = 0; i < MX_PES * MX_PAGES; i++)
        PE_WANT(x->map[i * MAP_PAGE] == i + 1);
}

/* ---- steps ---- */

static void ask(struct mx *x, struct input *in, unsigned pe)
{
    struct map_request r = {.addr = number(in), .size = number(in), .offset = number(in)};
    bool fits, free_entry = false, free_pages = true;
    uint64_t at, result;

    if (r.addr < MX_WIN * 2)
        r.addr += MAP_WINDOW_GPA;
    r.ep = byte(in) % 20;
    r.perm = byte(in) % 5;
    fits = in_window(x, pe, &r) && allowed(x, pe, &r, &at);
    for (unsigned i = 0; i < MAP_ENTRIES; i++)
        free_entry |= mx_state(x, pe, i) == MAP_FREE;
    for (uint64_t off = 0; fits && off < r.size; off += MAP_PAGE)
        free_pages &= !entry_at(x, pe, r.addr + off);
    x->full = byte(in) % 8 == 7;
    result = mx_ask(x, pe, r);
    PE_WANT((MAP_RESULT_ERROR(result) == SE_OK) == (fits && free_entry && free_pages && !x->full));
    if (MAP_RESULT_ERROR(result) == SE_OK)
        PE_WANT(mx_state(x, pe, MAP_RESULT_ENTRY(result)) == MAP_LIVE);
    x->full = false;
}

static void gate(struct mx *x, struct input *in, unsigned pe)
{
    unsigned ep = byte(in) % DTU_EPS, how = byte(in);
    uint64_t base = number(in), size = number(in);
    const uint64_t w[3] = {dtu_mem_r0(size), base,
                           dtu_mem_r2(how % 5, how % 5 + (how / 5 % 8 == 0), how / 64)};

    if (how & 1)
        mx_set_ep(x, pe, ep, w[0], w[1], w[2]);
    else
        mx_write_reg(x, pe, DTU_EP(ep, 0), w, 3);
}

static void step(struct mx *x, struct input *in)
{
    unsigned op = byte(in), pe = 1 + op / 16 % 3, arg;
    struct map_table *t = mx_table(x, pe);

    switch (op % 16) {
    case 0:
        vdtu_map_request(x->pe[pe].d, number(in));
        break;
    case 1:
        vdtu_map_close(x->pe[pe].d, byte(in));
        break;
    case 2:
        mx_revoke(x, pe, byte(in) % DTU_EPS);
        break;
    case 3:
        arg = byte(in);
        mx_vpe(x, arg % MX_PES, arg / 4 % 4 ? arg % MX_PES : 9);
        break;
    case 4:
        vdtu_reset_cpu(x->pe[pe].d, NULL);
        break;
    case 5:
        vdtu_map_enable(x->pe[pe].d, byte(in) % 9 * (uint64_t)MAP_PAGE, t);
        break;
    case 6: /* one word of an endpoint */
        arg = byte(in);
        vdtu_store(x->pe[pe].d, DTU_EP(arg % DTU_EPS, arg / DTU_EPS % 3), number(in), 8);
        break;
    case 7:
    case 8:
    case 9:
        gate(x, in, pe);
        break;
    case 10:
        if (t->window == 0)
            vdtu_map_enable(x->pe[pe].d, MX_WIN, t);
        break;
    default:
        ask(x, in, pe);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size < 512 ? size : 512};
    struct mx *x = mx_new();
    uint8_t mark = 100;

    for (unsigned i = 0; i < MX_PES * MX_PAGES; i++)
        x->map[i * MAP_PAGE] = (uint8_t)(i + 1);
    while (in.left) {
        step(x, &in);
        check(x, mark);
        mark = mark < 250 ? (uint8_t)(mark + 1) : 100;
    }
    mx_free(x);
    return 0;
}
