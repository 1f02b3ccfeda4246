/* SPDX-License-Identifier: BSD-2-Clause */
/* Several kernels in one process: the wire between them, their beginning and end (kernel_fake.h).
 */
#include "kernel_fake_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"

static struct kernel kernels[FAKE_KERNELS];
struct kernel *kern_now = &kernels[0];
static unsigned nkernels, npes; /* npes: PEs of the machine */
static size_t heap_at_boot;
bool fake_auto;
unsigned long fake_sys_count[SYSC_COUNT][2], fake_kc_count[KC_COUNT][2];

/* ---- the wire between kernels ---- */

static struct wire {
    struct wire *next;
    unsigned from, to, ep;
    uint8_t data[1u << KC_ORDER] __attribute__((aligned(8)));
} * wire_head, **wire_tail = &wire_head;
static struct fake_kmsg last[FAKE_KERNELS][FAKE_KERNELS];

static void wire_add(unsigned to, unsigned ep, const struct dtu_header *h, const void *data)
{
    struct wire *w = calloc(1, sizeof(*w));

    if (!w)
        fake_die("out of memory");
    w->from = kern_now - kernels;
    w->to = to;
    w->ep = ep;
    memcpy(w->data, h, sizeof(*h));
    memcpy(w->data + sizeof(*h), data, h->length);
    *wire_tail = w;
    wire_tail = &w->next;
    fake[fake_kernel_pe(to)].slots[ep]++;
}

int fake_wire_send(const struct hw_target *to, const void *data, size_t n, unsigned reply_ep,
                   uint64_t reply_label)
{
    struct fake_pe *f = &fake[to->pe];
    struct dtu_header h = {.sender_pe = kern.own_pe,
                           .sender_vpe = (uint16_t)kern.id,
                           .reply_ep = (uint8_t)reply_ep,
                           .length = (uint16_t)n,
                           .label = to->label,
                           .reply_label = reply_label};
    struct fake_kmsg *l = &last[kern_now - kernels][f->kernel];

    if (to->ep < KC_EP || to->ep > KC_SETUP_EP || n > KC_MSG_MAX)
        fake_die("strange message to a kernel");
    if (f->slots[to->ep] == DTU_MAX_SLOTS)
        return SE_NO_RING_SPACE;
    l->count++;
    l->len = n;
    memset(l->word, 0, sizeof(l->word));
    memcpy(l->word, data, n);
    wire_add(f->kernel, to->ep, &h, data);
    return SE_OK;
}

void fake_use(unsigned kernel)
{
    kern_now = &kernels[kernel];
}

unsigned fake_kernels(void)
{
    return nkernels;
}

static unsigned pes_each;

unsigned fake_kernel_pe(unsigned kernel)
{
    return KERNEL_PE + kernel * (pes_each + 1);
}

unsigned fake_kernel_of(unsigned pe)
{
    return fake[pe].kernel;
}

static void boot_kernel(unsigned k)
{
    unsigned own = fake_kernel_pe(k);

    fake_use(k);
    memset(&kern, 0, sizeof(kern));
    kern.id = k;
    kern.own_pe = (uint16_t)own;
    kern.mem_pe = MEM_PE;
    kern.fs_end = MEM_MODULES;
    kern.mem_fresh = MEM_FREE;
    kern.peers.started = true;
    for (unsigned i = 0; i < BOOT_PES; i++)
        kern.peers.owner[i] = KC_NO_KERNEL;
    if (memmap_init(&kern.mem, MEM_FREE, FAKE_MEMORY) != 0)
        fake_die("boot");
    for (unsigned id = own; id <= own + pes_each; id++) {
        uint64_t desc = pe_desc(id, FAKE_PE_MEM, PE_TYPE_SPM);

        memset(&fake[id], 0, sizeof(fake[id]));
        connect_member(k, desc, MEMBER_NONE);
        pe_add(desc);
        fake[id].reg[DTU_VPE_ID / 8] = id == own ? k : DTU_VPE_INVALID;
        fake[id].idle = true;
        fake[id].kernel = k;
        fake[id].is_kernel = id == own;
    }
    kern.pe_news = false;
}

void fake_boot_apart(unsigned many, unsigned pes, bool configured)
{
    nkernels = many;
    pes_each = pes;
    npes = 1 + many * (pes + 1);
    if (many > FAKE_KERNELS || npes > FAKE_PES)
        fake_die("boot");
    memset(fake, 0, npes * sizeof(fake[0]));
    memset(last, 0, sizeof(last));
    fake_reset_all();
    fake_auto = false;
    for (unsigned k = 0; k < many; k++)
        boot_kernel(k);
    heap_at_boot = heap_bytes;
    for (unsigned k = 0; configured && k < many; k++) {
        fake_use(k);
        kern.peers.independent = true;
        kern.peers.incarnation = 100 + k;
        for (unsigned i = 0; i < many; i++)
            if (i != k)
                peer_add(i, fake_kernel_pe(i))->configured = true;
    }
    fake_use(0);
}

void fake_boot_many(unsigned many, unsigned pes)
{
    fake_boot_apart(many, pes, false);
    for (unsigned k = 1; k < many; k++) {
        fake_use(k);
        for (unsigned i = 0; i < k; i++) {
            struct peer *p = peer_add(i, fake_kernel_pe(i));

            p->created = true;
            connect_send(p);
        }
    }
    fake_deliver();
    for (unsigned k = 0; k < many; k++) {
        fake_use(k);
        for (unsigned i = 0; i < many; i++)
            if (i != k && !peer_find(i))
                fake_die("kernels did not connect");
    }
    heap_at_boot = heap_bytes;
    fake_auto = true;
    fake_use(0);
}

void fake_boot(unsigned pes)
{
    fake_boot_many(1, pes);
}

static void deliver(unsigned to, unsigned ep, const struct dtu_header *h)
{
    struct kernel *now = kern_now;
    uint64_t bad;
    uint32_t op = ~0u;

    fake_use(to);
    bad = kern.stats.bad_kcalls;
    if (h->length >= sizeof(op))
        memcpy(&op, h + 1, sizeof(op));
    kcall_handle(ep, h);
    if (op < KC_COUNT)
        fake_kc_count[op][kern.stats.bad_kcalls > bad]++;
    kern_now = now;
}

static bool deliver_at(struct wire **link)
{
    struct wire *w = *link;

    if (!w)
        return false;
    *link = w->next;
    if (!w->next)
        wire_tail = link;
    if (!fake[fake_kernel_pe(w->to)].broken) {
        fake[fake_kernel_pe(w->to)].slots[w->ep]--;
        deliver(w->to, w->ep, (const struct dtu_header *)w->data);
    }
    free(w);
    return true;
}

bool fake_deliver_one(void)
{
    return deliver_at(&wire_head);
}

bool fake_deliver_some(unsigned number)
{
    bool seen[FAKE_KERNELS][FAKE_KERNELS] = {{false}};
    struct wire **oldest[FAKE_KERNELS * FAKE_KERNELS];
    unsigned n = 0;

    for (struct wire **link = &wire_head; *link; link = &(*link)->next) {
        if (seen[(*link)->from][(*link)->to])
            continue;
        seen[(*link)->from][(*link)->to] = true;
        oldest[n++] = link;
    }
    return n > 0 && deliver_at(oldest[number % n]);
}

unsigned fake_deliver(void)
{
    unsigned n = 0;

    while (fake_deliver_one())
        if (++n > 1000000)
            fake_die("kernels talk without end");
    return n;
}

unsigned fake_wire(void)
{
    unsigned n = 0;

    for (const struct wire *w = wire_head; w; w = w->next)
        n++;
    return n;
}

static void wire_drop(unsigned kernel)
{
    struct wire **link = &wire_head;

    while (*link) {
        struct wire *w = *link;

        if (w->to != kernel && w->from != kernel) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        fake[fake_kernel_pe(w->to)].slots[w->ep]--;
        free(w);
    }
    wire_tail = link;
}

void fake_kcall_header(unsigned to, unsigned ep, struct dtu_header header, const void *payload)
{
    static uint8_t slot[1u << KC_ORDER];

    memcpy(slot, &header, sizeof(header));
    memcpy(slot + sizeof(header), payload, header.length);
    deliver(to, ep, (const struct dtu_header *)slot);
}

void fake_kcall(unsigned from, unsigned to, const void *payload, size_t len)
{
    struct dtu_header h = {.sender_pe = (uint16_t)fake_kernel_pe(from),
                           .sender_vpe = (uint16_t)from,
                           .length = (uint16_t)len,
                           .label = from};

    fake_kcall_header(to, KC_SETUP_EP, h, payload);
    if (fake_auto)
        fake_deliver();
}

const struct fake_kmsg *fake_last(unsigned from, unsigned to)
{
    return &last[from][to];
}

/* All that a kernel has on the heap, as if its PE were reset. */
static void forget_kernel(unsigned k)
{
    struct kernel *now = kern_now;
    struct mem_area *a;

    fake_dead = true;
    fake_use(k);
    peer_close_all();
    mht_free_all();
    for (unsigned id = 0; id < BOOT_PES; id++)
        if (kern.pes[id].vpe)
            vpe_exit(kern.pes[id].vpe, 0);
    vpe_reap();
    while ((a = kern.mem.free)) {
        kern.mem.free = a->next;
        heap_free(a);
    }
    kern_now = now;
    fake_dead = false;
}

void fake_kill(unsigned kernel)
{
    fake[fake_kernel_pe(kernel)].broken = true;
    wire_drop(kernel);
    for (unsigned i = 0; i < npes; i++)
        if (fake[i].slot_at == kernel)
            fake[i].slot_used = false;
}

void fake_restart(unsigned kernel, bool configured)
{
    uint64_t incarnation = kernels[kernel].peers.incarnation;
    struct kernel *now = kern_now;

    fake_kill(kernel);
    forget_kernel(kernel);
    wire_drop(kernel);
    boot_kernel(kernel);
    kern.peers.independent = true;
    kern.peers.incarnation = incarnation + 1;
    for (unsigned i = 0; configured && i < nkernels; i++)
        if (i != kernel)
            peer_add(i, fake_kernel_pe(i))->configured = true;
    kern_now = now;
}

void fake_time(uint64_t ns)
{
    struct kernel *now = kern_now;

    for (unsigned k = 0; k < nkernels; k++) {
        fake_use(k);
        if (fake[fake_kernel_pe(k)].broken)
            continue;
        srv_tick(ns);
        peer_tick(ns);
        start_tick(ns);
        vpe_reap();
    }
    kern_now = now;
    if (fake_auto)
        fake_deliver();
}

static void end_kernel(unsigned k)
{
    struct mem_area *rest;

    fake_use(k);
    if (kern.vpes || kern.nvpes || kern.ndaemons || kern.reap)
        fake_die("a VPE is left");
    for (unsigned i = 0; i < KERN_SYSC_EPS; i++)
        if (kern.sysc_used[i])
            fake_die("a place for system calls is lost");
    rest = kern.mem.free;
    if (memmap_available(&kern.mem) != FAKE_MEMORY || !rest || rest->next)
        fake_die("memory is missing");
    if (kern.services)
        fake_die("a service is left");
    if (kern.revocations)
        fake_die("a revocation waits for ever");
    if (kern.peers.exchanges || kern.peers.late)
        fake_die("an exchange is left");
    for (unsigned id = 0; id < BOOT_PES; id++)
        if (kern.pes[id].held)
            fake_die("a PE is held for ever");
}

static void note_counts(void)
{
    const char *name = getenv("KERNEL_CALLS_FILE");
    FILE *f = name ? fopen(name, "a") : NULL;

    if (!f)
        return;
    for (unsigned i = 0; i < SYSC_COUNT; i++)
        fprintf(f, "sys %u %lu %lu\n", i, fake_sys_count[i][0], fake_sys_count[i][1]);
    for (unsigned i = 0; i < KC_COUNT; i++)
        fprintf(f, "krnl %u %lu %lu\n", i, fake_kc_count[i][0], fake_kc_count[i][1]);
    fclose(f);
    memset(fake_sys_count, 0, sizeof(fake_sys_count));
    memset(fake_kc_count, 0, sizeof(fake_kc_count));
}

/* Without other kernels nothing can be on its way to one, or lent. */
static void check_moves(void)
{
    const struct moves *m = &kern.moves;

    if (m->phase != MOVE_IDLE || m->hold || m->from || m->loans || m->owing || m->kids || m->lent)
        fake_die("a VPE is still on its way, or its memory");
}

/* What kernels say while they forget each other: nobody is left to hear it. */
static void drop_wire(void)
{
    struct wire *w;

    while ((w = wire_head)) {
        wire_head = w->next;
        free(w);
    }
    wire_tail = &wire_head;
}

void fake_end(void)
{
    fake_heap_left = ~(size_t)0;
    for (unsigned id = 2; id < npes; id++) {
        for (unsigned k = 0; k < nkernels; k++) {
            fake_use(k);
            if (kern.pes[id].vpe)
                vpe_exit(kern.pes[id].vpe, 0);
        }
        fake_deliver();
    }
    for (unsigned k = 0; k < nkernels; k++) {
        fake_use(k);
        vpe_reap();
    }
    fake_deliver();
    for (unsigned k = 0; k < nkernels; k++)
        end_kernel(k);
    for (unsigned i = 0; i < npes; i++)
        if (fake[i].slot_used)
            fake_die("a message was neither answered nor dropped");
    for (unsigned k = 0; k < nkernels; k++) {
        fake_use(k);
        peer_close_all();
        mht_free_all();
        check_moves();
    }
    drop_wire();
    if (heap_bytes != heap_at_boot)
        fake_die("the heap leaks");
    for (unsigned k = 0; k < nkernels; k++) {
        heap_free(kernels[k].mem.free);
        kernels[k].mem.free = NULL;
    }
    note_counts();
    fake_use(0);
}

static void check_cap(const struct vpe *v, const struct cap *c)
{
    if (c->holder != v || cap_at(&v->caps, c->sel) != c)
        fake_die("a capability is not where it thinks");
    if (c->parent && cap_get(&c->parent->holder->caps, c->parent->sel) != c->parent)
        fake_die("a capability outlived its parent");
    if (c->prev ? c->prev->next != c : c->parent ? c->parent->child != c : c->next != NULL)
        fake_die("siblings");
    for (const struct cap *k = c->child; k; k = k->next)
        if (k->parent != c || (k->next && k->next->prev != k))
            fake_die("a child has another parent");
    for (unsigned ep = 0; ep < DTU_EPS; ep++)
        if ((c->eps >> ep & 1) != (v->ep[ep].use == EP_GATE && v->ep[ep].cap == c))
            fake_die("an endpoint and its capability disagree");
    for (const struct rkid *k = c->rkids; k; k = k->next)
        if (k->cap != c || k->queued || k->sent)
            fake_die("a child elsewhere is being revoked, its parent is not");
    if (c->type == CAP_MSG && peer_is_ours(c->msg.pe) && !kern.pes[c->msg.pe].vpe && !c->rparent &&
        !c->parent)
        fake_die("a gate to nobody");
}

static void check_kernel(void)
{
    for (const struct vpe *v = kern.vpes; v; v = v->next) {
        unsigned count = 0;

        for (uint32_t sel = 0; cap_next(&v->caps, sel); sel++, count++) {
            struct cap *c = cap_next(&v->caps, sel);

            check_cap(v, c);
            sel = c->sel;
        }
        if (count != v->caps.count)
            fake_die("a table has another count");
        for (unsigned ep = 0; v->state != VPE_ZOMBIE && ep < DTU_EPS; ep++) {
            unsigned type = fake_ep_type(v->pe, ep);

            if (ep != VPE_EP_SYSC && !fake[v->pe].broken &&
                (type == DTU_EP_RECV) != (v->ep[ep].use == EP_RECV))
                fake_die("a receive endpoint that is not in the books");
            if (ep != VPE_EP_SYSC && !fake[v->pe].broken &&
                (type == DTU_EP_SEND || type == DTU_EP_MEM) != (v->ep[ep].use == EP_GATE))
                fake_die("an endpoint that is not in the books");
        }
    }
}

void fake_check(void)
{
    struct kernel *now = kern_now;

    for (unsigned k = 0; k < nkernels; k++) {
        fake_use(k);
        if (!fake[fake_kernel_pe(k)].broken)
            check_kernel();
    }
    kern_now = now;
}
