/* SPDX-License-Identifier: BSD-2-Clause */
/* See kernel_fake.h. */
#include "kernel_fake.h"
#include "kernel_fake_elf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/kernel/hw.h"
#include "heap.h"
#include "print.h"
#include "vreg.h"

#define LOW_SIZE  0x24000u /* idle, Env, arguments, stack */
#define PROG_SIZE 0x10000u /* from PE_PROGRAM_ADDR */

static struct kernel kernels[FAKE_KERNELS];
struct kernel *kern_now = &kernels[0];
static unsigned nkernels, npes; /* npes: PEs of the machine */
bool fake_auto;
unsigned long fake_sys_count[SYSC_COUNT][2], fake_kc_count[KC_COUNT][2];
size_t fake_heap_left = ~(size_t)0;
unsigned long fake_hw_ops;
bool fake_can_reset;
int fake_send_error;

static size_t heap_bytes, heap_at_boot;
static uint64_t wiped_bytes;
static char console[16384];
static size_t console_len;

struct fake_pe {
    uint64_t reg[DTU_WINDOW / 8];
    uint8_t low[LOW_SIZE], prog[PROG_SIZE];
    bool idle, broken;
    bool resetting; /* VREG_RESET was written and its program still runs */
    struct fake_reply reply;
    unsigned kernel;
    bool is_kernel;
    unsigned slots[DTU_EPS]; /* of a kernel: messages of kernels that have not arrived */
    uint8_t slot[SYSC_MSG_MAX] __attribute__((aligned(8))); /* in the kernel */
    bool slot_used;
    struct fake_request request;
};
static struct fake_pe fake[FAKE_PES];

static struct {
    const uint8_t *data;
    size_t size;
} module[8];
#define MODULE_ADDR(i) (MEM_MODULES + ((uint64_t)(i) << 20))

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "kernel_fake: %s\n", what);
    abort();
}

/* ---- guest/lib ---- */

void *heap_alloc(size_t size)
{
    size_t *p;

    if (fake_heap_left == 0 || size == 0)
        return NULL;
    if (fake_heap_left != ~(size_t)0)
        fake_heap_left--;
    p = malloc(size + 16);
    if (!p)
        die("out of memory");
    p[0] = size;
    heap_bytes += size;
    return p + 2;
}

void *heap_calloc(size_t n, size_t size)
{
    void *p = heap_alloc(n * size);

    if (p)
        memset(p, 0, n * size);
    return p;
}

void heap_free(void *p)
{
    if (!p)
        return;
    heap_bytes -= ((size_t *)p)[-2];
    free((size_t *)p - 2);
}

size_t fake_heap_used(void)
{
    return heap_bytes;
}

void print(const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(console + console_len, sizeof(console) - console_len, format, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof(console) - console_len)
        console_len += (size_t)n;
}

const char *fake_console(void)
{
    return console;
}

/* ---- PEs ---- */

void *fake_mem(unsigned pe, uint64_t addr, size_t n)
{
    if (addr <= LOW_SIZE && n <= LOW_SIZE - addr)
        return fake[pe].low + addr;
    if (addr >= PE_PROGRAM_ADDR && addr - PE_PROGRAM_ADDR <= PROG_SIZE &&
        n <= PROG_SIZE - (addr - PE_PROGRAM_ADDR))
        return fake[pe].prog + (addr - PE_PROGRAM_ADDR);
    return NULL;
}

static uint64_t get(unsigned pe, uint64_t addr)
{
    uint64_t v;

    memcpy(&v, fake_mem(pe, addr, 8), 8);
    return v;
}

static void set(unsigned pe, uint64_t addr, uint64_t v)
{
    memcpy(fake_mem(pe, addr, 8), &v, 8);
}

#define ENTRY (PE_ENV_ADDR + __builtin_offsetof(struct boot_env, entry))

/* Idle, woken. */
static void run_idle(unsigned pe)
{
    if (!fake[pe].idle)
        return;
    if (get(pe, PE_IDLE_ADDR) == 0)
        die("a PE is woken where idle should be and is not");
    if (get(pe, ENTRY) == 0)
        return;
    set(pe, PE_ENV_ADDR + __builtin_offsetof(struct boot_env, exitaddr), PE_IDLE_ADDR);
    fake[pe].idle = false;
}

void fake_reset_ends(unsigned pe)
{
    if (!fake[pe].resetting)
        return;
    memset(fake[pe].low, 0, LOW_SIZE);
    memset(fake[pe].prog, 0, PROG_SIZE);
    fake[pe].idle = true;
    fake[pe].resetting = false;
}

void fake_settle(void)
{
    struct kernel *now = kern_now;

    for (unsigned pe = 0; pe < FAKE_PES; pe++)
        fake_reset_ends(pe);
    for (unsigned k = 0; k < nkernels; k++) {
        kern_now = &kernels[k];
        if (pe_poll() != 0)
            die("a PE that was reset is still waited for");
    }
    kern_now = now;
}

bool fake_in_idle(unsigned pe)
{
    return fake[pe].idle;
}

void fake_break(unsigned pe, bool broken)
{
    fake[pe].broken = broken;
}

uint64_t fake_reg(unsigned pe, unsigned reg)
{
    return fake[pe].reg[reg / 8];
}

unsigned fake_ep_type(unsigned pe, unsigned ep)
{
    return dtu_ep_type(fake_reg(pe, DTU_EP(ep, 0)));
}

/* ---- hw.h ---- */

static int access_ok(unsigned pe, unsigned vpe)
{
    fake_hw_ops++;
    if (pe >= FAKE_PES)
        die("access to a PE that is not there");
    if (fake[pe].broken)
        return SE_INV_ARGS;
    return fake_reg(pe, DTU_VPE_ID) == vpe ? SE_OK : SE_VPE_GONE;
}

static int read_memory_pe(uint64_t addr, void *buf, size_t n)
{
    unsigned i = (unsigned)((addr - MEM_MODULES) >> 20);
    uint64_t off = addr & 0xFFFFF;

    if (addr < MEM_MODULES || i >= 8 || off > module[i].size || n > module[i].size - off)
        die("read outside the modules");
    memcpy(buf, module[i].data + off, n);
    return SE_OK;
}

/* A PE without VPE may be reset, and nothing but its reset. */
static void check_reset(unsigned pe, uint64_t addr, size_t n)
{
    if (!fake_can_reset || addr != VREG_BASE + VREG_RESET || n != 8)
        die("strange access to our own registers");
    if (fake_reg(pe, DTU_VPE_ID) != DTU_VPE_INVALID)
        die("the reset of a PE that has a VPE");
}

int hw_read(unsigned pe, unsigned vpe, uint64_t addr, void *buf, size_t n)
{
    int err = access_ok(pe, vpe);
    void *p;

    if (err != SE_OK)
        return err;
    if (pe == MEM_PE)
        return read_memory_pe(addr, buf, n);
    if (addr >= VREG_BASE) {
        check_reset(pe, addr, n);
        memcpy(buf, &(uint64_t){fake[pe].resetting}, n);
        return SE_OK;
    }
    p = fake_mem(pe, addr, n);
    if (p)
        memcpy(buf, p, n);
    else
        memset(buf, 0, n);
    return SE_OK;
}

static void write_reset(unsigned pe, const void *buf)
{
    uint64_t start;

    memcpy(&start, buf, sizeof(start));
    if (start != PE_IDLE_ADDR || fake[pe].resetting)
        die("a strange reset, or a second one");
    fake[pe].resetting = true;
}

static void write_regs(unsigned pe, uint64_t off, const void *buf, size_t n)
{
    if (off % 8 || n % 8 || off > DTU_WINDOW || n > DTU_WINDOW - off)
        die("strange write to registers");
    memcpy(&fake[pe].reg[off / 8], buf, n);
    if (fake_reg(pe, DTU_VPE_ID) != DTU_VPE_INVALID && fake[pe].resetting)
        die("a VPE on a PE where its predecessor still runs");
    if (off == DTU_EXT_CMD && fake[pe].reg[off / 8] == DTU_EXT_WAKEUP)
        run_idle(pe);
}

/* What of [addr, addr + n) lies in a window of the memory that the fake has. */
static void store(uint8_t *window, uint64_t base, uint64_t size, uint64_t addr, const void *buf,
                  uint64_t n)
{
    uint64_t from = addr > base ? addr : base;
    uint64_t to = addr + n < base + size ? addr + n : base + size;

    if (from < to)
        memcpy(window + (from - base), (const uint8_t *)buf + (from - addr), to - from);
}

int hw_write(unsigned pe, unsigned vpe, uint64_t addr, const void *buf, size_t n)
{
    int err = access_ok(pe, vpe);

    if (err != SE_OK)
        return err;
    if (addr >= VREG_BASE) {
        check_reset(pe, addr, n);
        write_reset(pe, buf);
        return SE_OK;
    }
    if (addr >= DTU_BASE) {
        write_regs(pe, addr - DTU_BASE, buf, n);
        return SE_OK;
    }
    if (addr > FAKE_PE_MEM || n > FAKE_PE_MEM - addr || pe == MEM_PE)
        die("write outside the memory");
    store(fake[pe].low, 0, LOW_SIZE, addr, buf, n);
    store(fake[pe].prog, PE_PROGRAM_ADDR, PROG_SIZE, addr, buf, n);
    return SE_OK;
}

int hw_wipe(unsigned pe, unsigned vpe, uint64_t addr, uint64_t end)
{
    int err = access_ok(pe, vpe);

    if (pe != MEM_PE)
        die("other memory than the memory PE's is cleared");
    if (err == SE_OK && addr < end)
        wiped_bytes += end - addr;
    return err;
}

uint64_t fake_wiped(void)
{
    return wiped_bytes;
}

int hw_set_reg(unsigned pe, unsigned vpe, unsigned reg, uint64_t value)
{
    return hw_write(pe, vpe, DTU_BASE + reg, &value, sizeof(value));
}

bool hw_can_reset(void)
{
    return fake_can_reset;
}

/* ---- the wire between kernels ---- */

static struct wire {
    struct wire *next;
    unsigned from, to, ep;
    uint8_t data[1u << KC_ORDER] __attribute__((aligned(8)));
} *wire_head, **wire_tail = &wire_head;
static struct fake_kmsg last[FAKE_KERNELS][FAKE_KERNELS];

static void wire_add(unsigned to, unsigned ep, const struct dtu_header *h, const void *data)
{
    struct wire *w = calloc(1, sizeof(*w));

    if (!w)
        die("out of memory");
    w->from = kern_now - kernels;
    w->to = to;
    w->ep = ep;
    memcpy(w->data, h, sizeof(*h));
    memcpy(w->data + sizeof(*h), data, h->length);
    *wire_tail = w;
    wire_tail = &w->next;
    fake[fake_kernel_pe(to)].slots[ep]++;
}

static int wire_send(const struct hw_target *to, const void *data, size_t n, unsigned reply_ep,
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
        die("strange message to a kernel");
    if (f->slots[to->ep] == DTU_MAX_SLOTS)
        return SE_NO_RING_SPACE;
    l->count++;
    l->len = n;
    memset(l->word, 0, sizeof(l->word));
    memcpy(l->word, data, n);
    wire_add(f->kernel, to->ep, &h, data);
    return SE_OK;
}

int hw_send(const struct hw_target *to, const void *data, size_t n, unsigned reply_ep,
            uint64_t reply_label)
{
    int err = fake_send_error ? fake_send_error : access_ok(to->pe, to->vpe);
    struct fake_request *r = &fake[to->pe].request;

    fake_send_error = 0;
    if (err != SE_OK)
        return err;
    if (fake[to->pe].is_kernel)
        return wire_send(to, data, n, reply_ep, reply_label);
    if (fake_ep_type(to->pe, to->ep) != DTU_EP_RECV)
        return SE_RECV_GONE;
    if (reply_ep != KERN_EP_SRV || n > sizeof(r->word))
        die("strange message to a service");
    *r = (struct fake_request){
        .there = true, .ep = to->ep, .label = to->label, .reply_label = reply_label, .len = n};
    memcpy(r->word, data, n);
    return SE_OK;
}

static struct fake_pe *slot_owner(const struct dtu_header *msg)
{
    for (unsigned i = 0; i < FAKE_PES; i++)
        if (fake[i].slot == (const uint8_t *)msg)
            return &fake[i];
    return NULL;
}

int hw_reply(unsigned ep, const struct dtu_header *msg, const void *data, size_t n)
{
    struct fake_pe *f = slot_owner(msg);

    if (ep >= KERN_SYSC_EPS || !f || !f->slot_used || n > sizeof(f->reply.word))
        die("reply to what is no message");
    f->slot_used = false;
    memset(f->reply.word, 0, sizeof(f->reply.word));
    memcpy(f->reply.word, data, n);
    f->reply.len = n;
    f->reply.count++;
    /* The reply brings back the credits (dtu-spec 3.4). */
    if (dtu_ep_type(f->reg[DTU_EP(0, 0) / 8]) == DTU_EP_SEND)
        f->reg[DTU_EP(0, 1) / 8] += SYSC_MSG_MAX;
    return SE_OK;
}

void hw_ack(unsigned ep, const struct dtu_header *msg)
{
    struct fake_pe *f = slot_owner(msg);

    if (ep == KERN_EP_SRV || (ep >= KC_EP && ep < KC_EP + KC_EPS))
        return;
    if (ep >= KERN_SYSC_EPS)
        die("ack on a strange endpoint");
    if (f && !f->slot_used)
        die("ack of what is no message");
    if (f)
        f->slot_used = false;
}

/* ---- what tests use ---- */

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
    memset(fake[own].slots, 0, sizeof(fake[own].slots));
    kern.id = k;
    kern.own_pe = (uint16_t)own;
    kern.mem_pe = MEM_PE;
    kern.fs_end = MEM_MODULES;
    kern.mem_fresh = MEM_FREE;
    kern.peers.started = true;
    for (unsigned i = 0; i < BOOT_PES; i++)
        kern.peers.owner[i] = KC_NO_KERNEL;
    if (memmap_init(&kern.mem, MEM_FREE, FAKE_MEMORY) != 0)
        die("boot");
    for (unsigned id = own; id <= own + pes_each; id++) {
        uint64_t desc = pe_desc(id, FAKE_PE_MEM, PE_TYPE_SPM);

        connect_member(k, desc, MEMBER_NONE);
        pe_add(desc);
        fake[id].reg[DTU_VPE_ID / 8] = id == own ? k : DTU_VPE_INVALID;
        fake[id].idle = true;
        fake[id].kernel = k;
        fake[id].is_kernel = id == own;
        fake[id].broken = false;
    }
    kern.pe_news = false;
}

void fake_boot_apart(unsigned many, unsigned pes, bool configured)
{
    nkernels = many;
    pes_each = pes;
    npes = 1 + many * (pes + 1);
    if (many > FAKE_KERNELS || npes > FAKE_PES)
        die("boot");
    memset(fake, 0, npes * sizeof(fake[0]));
    memset(module, 0, sizeof(module));
    memset(last, 0, sizeof(last));
    console_len = 0;
    console[0] = 0;
    fake_send_error = 0;
    fake_heap_left = ~(size_t)0;
    heap_bytes = 0;
    wiped_bytes = 0;
    fake_can_reset = true;
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
                die("kernels did not connect");
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

bool fake_deliver_one(void)
{
    struct wire *w = wire_head;

    if (!w)
        return false;
    wire_head = w->next;
    if (!wire_head)
        wire_tail = &wire_head;
    if (!fake[fake_kernel_pe(w->to)].broken) {
        fake[fake_kernel_pe(w->to)].slots[w->ep]--;
        deliver(w->to, w->ep, (const struct dtu_header *)w->data);
    }
    free(w);
    return true;
}

unsigned fake_deliver(void)
{
    unsigned n = 0;

    while (fake_deliver_one())
        if (++n > 1000000)
            die("kernels talk without end");
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
}

void fake_kill(unsigned kernel)
{
    fake[fake_kernel_pe(kernel)].broken = true;
    wire_drop(kernel);
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
        die("a VPE is left");
    for (unsigned i = 0; i < KERN_SYSC_EPS; i++)
        if (kern.sysc_used[i])
            die("a place for system calls is lost");
    rest = kern.mem.free;
    if (memmap_available(&kern.mem) != FAKE_MEMORY || !rest || rest->next)
        die("memory is missing");
    if (kern.services)
        die("a service is left");
    if (kern.revocations)
        die("a revocation waits for ever");
    if (kern.peers.exchanges || kern.peers.late)
        die("an exchange is left");
    for (unsigned id = 0; id < BOOT_PES; id++)
        if (kern.pes[id].held)
            die("a PE is held for ever");
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

void fake_end(void)
{
    fake_heap_left = ~(size_t)0;
    for (unsigned id = 2; id < npes; id++) {
        fake_use(fake[id].kernel);
        if (kern.pes[id].vpe)
            vpe_exit(kern.pes[id].vpe, 0);
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
            die("a message was neither answered nor dropped");
    for (unsigned k = 0; k < nkernels; k++) {
        fake_use(k);
        peer_close_all();
        mht_free_all();
    }
    if (heap_bytes != heap_at_boot)
        die("the heap leaks");
    for (unsigned k = 0; k < nkernels; k++) {
        heap_free(kernels[k].mem.free);
        kernels[k].mem.free = NULL;
    }
    note_counts();
    fake_use(0);
}

static uint8_t idle_file[256];

void fake_module(const char *name, const void *data, size_t size)
{
    struct boot_module *m = &kern.mods[kern.nmods];

    snprintf(m->name, sizeof(m->name), "%s", name);
    m->addr = dtu_noc_addr(MEM_PE, MODULE_ADDR(kern.nmods));
    m->size = size;
    module[kern.nmods].data = data;
    module[kern.nmods].size = size;
    kern.nmods++;
}

struct vpe *fake_vpe(void)
{
    struct pe *pe = pe_find(PE_TYPE_SPM);
    struct vpe *v = NULL;

    if (!load_find("idle"))
        fake_module("idle", idle_file, fake_elf(idle_file, PE_IDLE_ADDR, 5, 16));
    if (!pe || vpe_create("test", pe, VPE_F_BOOT, &v) != SE_OK)
        die("no VPE");
    set(v->pe, ENTRY, PE_PROGRAM_ADDR);
    if (vpe_start(v) != SE_OK || fake[v->pe].idle)
        die("the VPE does not start");
    return v;
}

const struct fake_reply *fake_reply(unsigned pe)
{
    return &fake[pe].reply;
}

static void count_call(const void *payload, size_t len, int result)
{
    uint32_t op = ~0u;

    if (len >= sizeof(op))
        memcpy(&op, payload, sizeof(op));
    if (op < SYSC_COUNT)
        fake_sys_count[op][result != SE_OK]++;
}

int fake_call_bytes(unsigned pe, const void *payload, size_t len)
{
    struct fake_pe *f = &fake[pe];
    uint64_t *r = &f->reg[DTU_EP(0, 0) / 8];
    unsigned before = f->reply.count, ep = (unsigned)(r[1] >> 16) & 0xFF;
    struct dtu_header h = {
        .flags = DTU_HD_REPLY_ENABLED,
        .sender_pe = (uint16_t)pe,
        .reply_ep = VPE_EP_RECV,
        .length = (uint16_t)len,
        .sender_vpe = (uint16_t)f->reg[DTU_VPE_ID / 8],
        .label = r[2],
    };

    if (dtu_ep_type(r[0]) != DTU_EP_SEND || (r[1] & 0xFFFF) < SYSC_MSG_MAX || f->slot_used)
        die("a second call, or one without a gate");
    if (len + sizeof(h) > SYSC_MSG_MAX)
        die("too long for the endpoint");
    r[1] -= SYSC_MSG_MAX;
    memset(f->slot, 0xA5, sizeof(f->slot)); /* what an earlier message left */
    memcpy(f->slot, &h, sizeof(h));
    memcpy(f->slot + sizeof(h), payload, len);
    f->slot_used = true;
    fake_use(f->kernel);
    sys_handle(ep, (const struct dtu_header *)f->slot);
    if (fake_auto)
        fake_deliver();
    count_call(payload, len, f->reply.count == before ? SE_OK : (int)f->reply.word[0]);
    return f->reply.count == before ? FAKE_LATER : (int)f->reply.word[0];
}

int fake_call(unsigned pe, unsigned n, const uint64_t *words)
{
    return fake_call_bytes(pe, words, n * sizeof(*words));
}

const struct fake_request *fake_request(unsigned pe)
{
    return &fake[pe].request;
}

void fake_srv_message(struct dtu_header header, const void *payload)
{
    static uint8_t slot[1u << KERN_SRV_ORDER];

    memcpy(slot, &header, sizeof(header));
    memcpy(slot + sizeof(header), payload, header.length);
    srv_handle((const struct dtu_header *)slot);
}

void fake_answer(unsigned pe, unsigned n, const uint64_t *words)
{
    struct fake_request *r = &fake[pe].request;
    struct dtu_header h = {.flags = DTU_HD_REPLY,
                           .sender_pe = (uint16_t)pe,
                           .length = (uint16_t)(n * sizeof(*words)),
                           .label = r->reply_label};

    if (!r->there)
        die("an answer without a request");
    r->there = false;
    fake_use(fake[pe].kernel);
    fake_srv_message(h, words);
    if (fake_auto)
        fake_deliver();
}

void fake_message(unsigned ep, struct dtu_header header, const void *payload)
{
    static uint8_t slot[SYSC_MSG_MAX];

    memcpy(slot, &header, sizeof(header));
    memcpy(slot + sizeof(header), payload, header.length);
    sys_handle(ep, (const struct dtu_header *)slot);
}

static void check_cap(const struct vpe *v, const struct cap *c)
{
    if (c->holder != v || cap_at(&v->caps, c->sel) != c)
        die("a capability is not where it thinks");
    if (c->parent && cap_get(&c->parent->holder->caps, c->parent->sel) != c->parent)
        die("a capability outlived its parent");
    if (c->prev ? c->prev->next != c : c->parent ? c->parent->child != c : c->next != NULL)
        die("siblings");
    for (const struct cap *k = c->child; k; k = k->next)
        if (k->parent != c || (k->next && k->next->prev != k))
            die("a child has another parent");
    for (unsigned ep = 0; ep < DTU_EPS; ep++)
        if ((c->eps >> ep & 1) != (v->ep[ep].use == EP_GATE && v->ep[ep].cap == c))
            die("an endpoint and its capability disagree");
    for (const struct rkid *k = c->rkids; k; k = k->next)
        if (k->cap != c || k->queued || k->sent)
            die("a child elsewhere is being revoked, its parent is not");
    if (c->type == CAP_MSG && peer_is_ours(c->msg.pe) && !kern.pes[c->msg.pe].vpe && !c->rparent &&
        !c->parent)
        die("a gate to nobody");
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
            die("a table has another count");
        for (unsigned ep = 0; v->state != VPE_ZOMBIE && ep < DTU_EPS; ep++) {
            unsigned type = fake_ep_type(v->pe, ep);

            if (ep != VPE_EP_SYSC && !fake[v->pe].broken &&
                (type == DTU_EP_RECV) != (v->ep[ep].use == EP_RECV))
                die("a receive endpoint that is not in the books");
            if (ep != VPE_EP_SYSC && !fake[v->pe].broken &&
                (type == DTU_EP_SEND || type == DTU_EP_MEM) != (v->ep[ep].use == EP_GATE))
                die("an endpoint that is not in the books");
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
