/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting a further kernel, as the original does it (semperos-platform 7): PEs from the back, the
 * first of them for the kernel itself; memory from the end of ours; program, arguments and Env into
 * that PE; KEnv, membership and the (empty) partitions of the hash table to the front of its
 * memory. It calls when it is alive, gets told what kernels there are, and calls again when it has
 * called those.  Then the next one.
 *
 * KEnv and membership together are written from one buffer.  What is in that memory behind them is
 * cleared when the new kernel gives it to somebody: from where we had given nothing away, it need
 * not be, and that is where it comes from.
 */
#include "bootline.h"
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "print.h"
#include "srv.h"
#include "str.h"

#define BOOT_MAX_NS (60ull * 1000000000)
#define TICK_NS     100000000ull

static uint64_t align8(uint64_t n)
{
    return (n + 7) & ~7ull;
}

/* n free PEs, the last ones; kern.boot.pes in order. */
static bool take_pes(unsigned n)
{
    unsigned left = n;

    for (unsigned i = kern.pe_count; i-- > 0 && left > 0;) {
        struct pe *pe = &kern.pes[kern.pe_order[i]];

        if (pe->state == PE_FREE && pe_desc_type(pe->desc) != PE_TYPE_MEM)
            kern.boot.pes[--left] = kern.pe_order[i];
    }
    kern.boot.npes = n;
    return left == 0;
}

static void set_members(unsigned id, unsigned flags)
{
    for (unsigned i = 0; i < kern.boot.npes; i++) {
        unsigned pe = kern.boot.pes[i];

        kern.peers.descs[pe] = kern.pes[pe].desc;
        connect_member(id, kern.pes[pe].desc, flags);
        pe_remove(pe);
    }
}

static void give_pes_back(void)
{
    for (unsigned i = 0; i < kern.boot.npes; i++) {
        unsigned pe = kern.boot.pes[i];

        connect_member(kern.id, kern.pes[pe].desc, MEMBER_NONE);
        kern.pes[pe].state = i == 0 ? PE_LOST : PE_FREE; /* who knows what runs on the first */
    }
}

static void fill_kenv(struct boot_kenv *k, const struct peer *p, const struct mem_area *mem)
{
    for (unsigned i = 0; i < kern.nmods; i++)
        k->mods[i] = kern.mod_addr[i];
    k->pe_count = kern.boot.npes;
    for (unsigned i = 0; i < kern.boot.npes; i++)
        k->pes[i] = kern.pes[kern.boot.pes[i]].desc;
    k->kernel_id = p->id;
    k->creator_kernel_id = kern.id;
    k->creator_core = kern.own_pe;
    k->creator_thread = 0;
    k->creator_ep = (int32_t)peer_ep(p);
    k->mem_mods[0] = (struct boot_mem_mod){kern.mem_pe, 0, MEM_FREE};
    k->mem_mods[1] = (struct boot_mem_mod){kern.mem_pe, mem->addr, mem->size};
    k->mem_offset = align8(sizeof(*k));
    k->member_table = dtu_noc_addr(kern.mem_pe, mem->addr + align8(sizeof(struct boot_kenv)));
    k->ddl_partitions = k->member_table + align8(BOOT_PES * sizeof(struct member_entry));
    k->ddl_partitions_size = kern.boot.npes * 2 * sizeof(uint64_t);
}

/* Kernels that know nothing of an entry take it for the first kernel's. */
static void fill_members(struct member_entry *e)
{
    for (unsigned i = 0; i < BOOT_PES; i++) {
        uint16_t owner = peer_owner(i);
        bool none = owner == KC_NO_KERNEL;

        e[i] = (struct member_entry){.pe = (uint16_t)i,
                                     .kernel = none ? (uint16_t)kern.id : owner,
                                     .capacity = 1,
                                     .flags = none ? MEMBER_UNPOPULATED : kern.peers.flags[i]};
    }
}

static bool write_kenv(const struct peer *p, const struct mem_area *mem)
{
    size_t table = align8(sizeof(struct boot_kenv));
    size_t parts = table + align8(BOOT_PES * sizeof(struct member_entry));
    size_t size = parts + kern.boot.npes * 2 * sizeof(uint64_t);
    uint8_t *buf = heap_calloc(1, size);
    int err = SE_OUT_OF_MEM;

    if (!buf)
        return false;
    fill_kenv((struct boot_kenv *)buf, p, mem);
    fill_members((struct member_entry *)(buf + table));
    for (unsigned i = 0; i < kern.boot.npes; i++) {
        uint64_t empty[2] = {kern.boot.pes[i], 0};

        memcpy(buf + parts + i * sizeof(empty), empty, sizeof(empty));
    }
    err = hw_write(kern.mem_pe, 0, mem->addr, buf, size);
    heap_free(buf);
    return err == SE_OK;
}

static const char *start(struct peer *p, const struct boot_app *app, const struct mem_area *mem)
{
    unsigned pe = p->pe;
    uint64_t one = 1;
    const char *error;

    if (hw_write(pe, DTU_VPE_INVALID, DTU_BASE + DTU_STATUS, &one, sizeof(one)) != SE_OK ||
        !write_kenv(p, mem))
        return "its PE or memory fails";
    error = load_kernel(pe, app->argc, app->argv, dtu_noc_addr(kern.mem_pe, mem->addr));
    if (error)
        return error;
    if (hw_set_reg(pe, DTU_VPE_INVALID, DTU_EXT_CMD, DTU_EXT_WAKEUP) != SE_OK)
        return "its PE fails";
    return NULL;
}

const char *kboot_start(const struct boot_app *app)
{
    struct mem_area *mem;
    struct peer *p;
    const char *error;

    if (kern.peers.secondary || kern.peers.independent)
        return "only a machine's first kernel starts others";
    if (!take_pes(app->pes))
        return "not enough PEs are free";
    p = peer_add(++kern.peers.max_id, kern.boot.pes[0]);
    if (!p)
        return "there are too many kernels";
    mem = memmap_alloc_last(&kern.mem, KC_INIT_MEM);
    if (!mem) {
        p->state = PEER_NONE;
        return "there is no memory for it";
    }
    if (mem->addr < kern.mem_fresh)
        hw_wipe(kern.mem_pe, 0, mem->addr, mem->addr + mem->size);
    p->state = PEER_BOOTING;
    p->created = true;
    p->remote_ep = KC_EP;
    set_members(p->id, MEMBER_MIGRATING);
    error = start(p, app, mem);
    if (error) {
        give_pes_back();
        memmap_free(&kern.mem, mem);
        p->state = PEER_NONE;
        return error;
    }
    heap_free(mem); /* for good: the kernel gives pieces of it away */
    kern.boot.peer = p;
    kern.boot.state = BOOT_ALIVE;
    kern.boot.waited = 0;
    return NULL;
}

/* Those that are there already; the new one calls them. */
static void announce(struct peer *to)
{
    uint8_t buf[KC_MSG_MAX];
    struct msg_writer w;
    uint32_t n = 0;

    for (unsigned i = 0; i < KC_PEERS; i++)
        n += kern.peers.peer[i].state == PEER_UP && &kern.peers.peer[i] != to ? 1 : 0;
    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, KC_ANNOUNCEKRNLS);
    msg_put(&w, n);
    for (unsigned i = 0; i < KC_PEERS; i++) {
        if (kern.peers.peer[i].state != PEER_UP || &kern.peers.peer[i] == to)
            continue;
        msg_put(&w, kern.peers.peer[i].id);
        msg_put(&w, kern.peers.peer[i].pe);
    }
    msg_put(&w, 1); /* the original has nothing here: who we are */
    peer_reply(to, buf, w.len);
}

static void over(struct peer *p, const char *error)
{
    print("kernel %u: kernel %u on PE %u did not start: %s\n", kern.id, p->id, p->pe, error);
    kern.stats.failed++;
    if (p->state == PEER_UP)
        peer_lost(p, NULL);
    p->state = PEER_NONE;
    kern.boot.state = BOOT_LINE;
    start_line();
}

void kboot_alive(struct peer *p, int error)
{
    if (error != SE_OK) {
        over(p, "it says that it cannot");
        return;
    }
    kern.boot.waited = 0;
    if (kern.boot.state == BOOT_ALIVE) {
        p->state = PEER_UP;
        kern.boot.state = BOOT_CONNECTED;
        announce(p);
        return;
    }
    for (unsigned i = 0; i < kern.boot.npes; i++)
        kern.peers.flags[kern.boot.pes[i]] = MEMBER_NONE;
    print("kernel %u: started kernel %u on PE %u, %u PEs\n", kern.id, p->id, p->pe, kern.boot.npes);
    connect_announce(p);
    kern.boot.peer = NULL;
    kern.boot.state = BOOT_LINE;
    start_line();
}

uint64_t kboot_tick(uint64_t ns)
{
    if (kern.boot.state != BOOT_ALIVE && kern.boot.state != BOOT_CONNECTED)
        return 0;
    kern.boot.waited += ns;
    if (kern.boot.waited > BOOT_MAX_NS)
        over(kern.boot.peer, "it is silent");
    return TICK_NS;
}
