/* SPDX-License-Identifier: BSD-2-Clause */
/* Channels: which there are, this PE's registers, and what both directions share. */
#include "dtu_drv.h"
#include "ring_impl.h"
#include "str.h"

struct rings ring_self;

void rg_notify(struct rings *r, unsigned entry)
{
    const struct ring_status *s =
        (const struct ring_status *)(const void *)(rg_entry(r, entry) + RING_PEER_OFF);

    if (__atomic_load_n(&s->sleeping, __ATOMIC_RELAXED))
        r->hw.bell(r->arg, entry);
}

unsigned rg_late(struct rings *r, unsigned entry, uint64_t granted)
{
    const struct ring_desc *d = rg_desc(r, entry);

    r->hw.sync(r->arg); /* now the host has said what it kept */
    if (rg_load(&d->last) >= granted)
        return SE_OK;
    return dtu_ep_type(rg_load(&r->regs[DTU_EP(d->ep, 0) / 8])) == DTU_EP_RECV ? SE_VPE_GONE
                                                                               : SE_EP_INVALID;
}

/* ---- the lists ---- */

/* The host may be writing it; then the version changes once more. */
static unsigned role(const struct ring_desc *d)
{
    return RING_STATE(rg_acquire(&d->word)) == RING_FREE
               ? 0
               : __atomic_load_n(&d->role, __ATOMIC_RELAXED);
}

static bool incoming(const struct ring_desc *d, unsigned *ep)
{
    *ep = __atomic_load_n(&d->ep, __ATOMIC_RELAXED);
    return role(d) == RING_IN && *ep < DTU_EPS;
}

static void list_in(struct rings *r, unsigned high)
{
    unsigned n[DTU_EPS + 1] = {0}, ep;

    for (unsigned e = 0; e < high; e++) {
        const struct ring_desc *d = rg_desc(r, e);

        if (incoming(d, &ep))
            n[ep + 1]++;
    }
    for (ep = 0; ep < DTU_EPS; ep++)
        n[ep + 1] += n[ep];
    for (ep = 0; ep <= DTU_EPS; ep++)
        r->first[ep] = (uint16_t)n[ep];
    for (unsigned e = 0; e < high; e++) {
        const struct ring_desc *d = rg_desc(r, e);

        if (!incoming(d, &ep) || n[ep] >= r->first[ep + 1])
            continue;
        r->in[n[ep]] = (uint16_t)e;
        n[ep]++;
    }
    /* Something new in between is for the next time: the version has changed again. */
    for (ep = 0; ep < DTU_EPS; ep++)
        for (; n[ep] < r->first[ep + 1]; n[ep]++)
            r->in[n[ep]] = RING_NO_ENTRY;
    r->nin = r->first[DTU_EPS];
}

static void list_out(struct rings *r, unsigned high)
{
    r->nout = 0;
    for (unsigned e = 0; e < high; e++) {
        if (role(rg_desc(r, e)) == RING_OUT)
            r->out[r->nout++] = (uint16_t)e;
    }
}

void rg_rebuild(struct rings *r)
{
    unsigned high;

    r->now.word = 0;
    r->now.left = 0;
    r->now.msg = NULL;
    r->version = rg_acquire(&rg_table(r)->version);
    high = __atomic_load_n(&rg_table(r)->high, __ATOMIC_RELAXED);
    if (high > RING_ENTRIES_MAX)
        high = RING_ENTRIES_MAX;
    list_in(r, high);
    list_out(r, high);
    for (unsigned i = 0; i < r->nin; i++)
        rg_in_scan(r, r->in[i], i);
    rg_in_watch(r);
    rg_out_watch(r);
    for (unsigned i = 0; i < r->nout; i++) {
        rg_out_rescan(r, r->out[i], i);
        rg_out_close(r, r->out[i]);
    }
}

/* ---- by address ---- */

static bool locate(const struct rings *r, const void *msg, unsigned *entry)
{
    uintptr_t off = (uintptr_t)msg - (uintptr_t)r->window - RING_ENTRY0_OFF;

    if (!ring_owns(r, msg))
        return false;
    *entry = (unsigned)(off / RING_ENTRY_SIZE);
    off %= RING_ENTRY_SIZE;
    return off >= RING_INBOX_OFF && off < RING_INBOX_OFF + RING_AREA;
}

void rg_ack(struct rings *r, const struct dtu_header *msg)
{
    unsigned e;

    if (!locate(r, msg, &e))
        return;
    if (rg_desc(r, e)->role == RING_IN)
        rg_in_free(r, e, msg);
    else
        rg_out_free(r, e, msg);
}

unsigned ring_reply(struct rings *r, const struct dtu_header *msg, const void *data, size_t len)
{
    unsigned e;

    if (!locate(r, msg, &e))
        return SE_INV_ARGS;
    if (rg_desc(r, e)->role == RING_IN)
        return rg_in_reply(r, e, msg, data, len);
    rg_out_free(r, e, msg); /* nobody waits for an answer to an answer */
    return SE_INV_ARGS;
}

/* ---- waiting ---- */

static struct ring_status *own_status(const struct rings *r)
{
    return (struct ring_status *)(void *)(r->window + RING_STATUS_OFF);
}

bool ring_pending(struct rings *r, unsigned ep)
{
    if (ep >= DTU_EPS)
        return false;
    if (r->stash[ep].msg)
        return true;
    if (!r->on)
        return false;
    rg_refresh(r);
    return rg_in_find(r, ep) >= 0 || rg_out_pending(r, ep);
}

bool ring_silent(struct rings *r, unsigned ep)
{
    if (!r->on || ep >= DTU_EPS)
        return true;
    rg_refresh(r);
    return r->first[ep] == r->first[ep + 1] && r->nout == 0;
}

static bool any(struct rings *r, bool all)
{
    rg_refresh(r);
    r->asked.all |= all;
    return r->stashed || rg_in_any(r, all) || rg_out_pending(r, DTU_EPS);
}

bool ring_any(struct rings *r)
{
    return r->stashed || (r->on && any(r, false));
}

uint32_t ring_news(struct rings *r)
{
    uint32_t news;

    if (!r->on)
        return 0;
    rg_refresh(r);
    news = rg_in_news(r);
    if (r->stashed || rg_out_pending(r, DTU_EPS))
        for (unsigned ep = 0; ep < DTU_EPS; ep++)
            if (r->stash[ep].msg || r->unread[ep])
                news |= 1u << ep;
    return news;
}

bool ring_sleep(struct rings *r)
{
    if (!r->on)
        return !r->stashed;
    __atomic_store_n(&own_status(r)->sleeping, 1, __ATOMIC_RELAXED);
    ring_fence();
    if (!any(r, true))
        return true;
    ring_awake(r);
    return false;
}

bool ring_sleep_for(struct rings *r, unsigned ep)
{
    if (r->stash[ep].msg)
        return false;
    if (!r->on)
        return true;
    __atomic_store_n(&own_status(r)->sleeping, 1, __ATOMIC_RELAXED);
    ring_fence();
    r->watch.all = r->asked.all = true; /* this look must not overlook any */
    r->watch.skips = 0;
    if (!ring_pending(r, ep))
        return true;
    ring_awake(r);
    return false;
}

void ring_awake(struct rings *r)
{
    if (r->on)
        __atomic_store_n(&own_status(r)->sleeping, 0, __ATOMIC_RELAXED);
}

int ring_spare(const struct rings *r)
{
    const struct ring_node *n = (const struct ring_node *)(const void *)(r->window + RING_NODE_OFF);

    return (int)(__atomic_load_n(&n->cores, __ATOMIC_RELAXED) -
                 __atomic_load_n(&n->running, __ATOMIC_RELAXED));
}

/* ---- start ---- */

void ring_setup(struct rings *r, const uint64_t *regs, const void *table, void *window,
                const struct ring_hw *hw, void *arg)
{
    memset(r, 0, sizeof(*r));
    r->regs = regs;
    r->table = table;
    r->window = window;
    r->hw = *hw;
    r->arg = arg;
    r->on = true;
}

static uint64_t hw_fetch(void *arg, unsigned ep)
{
    (void)arg;
    return dtu_fetch_slot(ep);
}

static void hw_open(void *arg, unsigned ep)
{
    (void)arg;
    vreg_set(VREG_RING_OPEN, ep);
}

static void hw_lane(void *arg, const struct ring_lane *lane)
{
    (void)arg;
    __asm__ volatile("" : : : "memory");
    vreg_set(VREG_RING_LANE, (uintptr_t)lane);
}

static void hw_end(void *arg, unsigned ep)
{
    (void)arg;
    vreg_set(VREG_RING_OPEN, ep | VREG_RING_END);
}

static void hw_bell(void *arg, unsigned entry)
{
    (void)arg;
    vreg_set(VREG_RING_BELL, entry);
}

static void hw_sync(void *arg)
{
    (void)arg;
    dtu_set(DTU_COMMAND, DTU_IDLE);
}

void ring_init(unsigned entries)
{
    static const struct ring_hw hw = {hw_fetch, hw_open, hw_lane, hw_end, hw_bell, hw_sync};

    memset(&ring_self, 0, sizeof(ring_self));
    if (!vreg_has(VREG_F_RING))
        return;
    vreg_set(VREG_RING, entries);
    if (vreg_get(VREG_RING) == 0)
        return;
    ring_setup(&ring_self, (const uint64_t *)DTU_BASE, (const void *)RING_TABLE_GPA,
               (void *)RING_WINDOW_GPA, &hw, NULL);
    ring_self.lanes = vreg_has(VREG_F_LANE) && (dtu_get(DTU_STATUS) & DTU_STATUS_PRIV) != 0;
}
