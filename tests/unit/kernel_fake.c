/* SPDX-License-Identifier: BSD-2-Clause */
/* See kernel_fake.h. */
#include "kernel_fake_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_fake_elf.h"

#include "../../guest/kernel/hw.h"
#include "heap.h"
#include "print.h"
#include "vreg.h"

size_t fake_heap_left = ~(size_t)0;
unsigned long fake_hw_ops;
bool fake_can_reset;
int fake_send_error;
unsigned (*fake_refuse)(void);

size_t heap_bytes;
bool fake_dead;
struct fake_pe fake[FAKE_PES];
static uint64_t wiped_bytes;
static char console[16384];
static size_t console_len;

static struct {
    const uint8_t *data;
    size_t size;
} module[8];
#define MODULE_ADDR(i) (MEM_MODULES + ((uint64_t)(i) << 20))

_Noreturn void fake_die(const char *what)
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
        fake_die("out of memory");
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
        fake_die("a PE is woken where idle should be and is not");
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
    fake[pe].request.there = false; /* nobody looks for it any more */
    fake[pe].idle = true;
    fake[pe].resetting = false;
}

void fake_settle(void)
{
    struct kernel *now = kern_now;

    for (unsigned pe = 0; pe < FAKE_PES; pe++)
        fake_reset_ends(pe);
    for (unsigned k = 0; k < fake_kernels(); k++) {
        fake_use(k);
        if (pe_poll() != 0)
            fake_die("a PE that was reset is still waited for");
    }
    kern_now = now;
}

bool fake_in_idle(unsigned pe)
{
    return fake[pe].idle;
}

void fake_over(unsigned pe)
{
    fake[pe].over = true;
    fake[pe].request.there = false;
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
        fake_die("access to a PE that is not there");
    if (fake[pe].broken || fake_dead)
        return SE_INV_ARGS;
    return fake_reg(pe, DTU_VPE_ID) == vpe ? SE_OK : SE_VPE_GONE;
}

static int read_memory_pe(uint64_t addr, void *buf, size_t n)
{
    unsigned i = (unsigned)((addr - MEM_MODULES) >> 20);
    uint64_t off = addr & 0xFFFFF;

    if (addr < MEM_MODULES || i >= 8 || off > module[i].size || n > module[i].size - off)
        fake_die("read outside the modules");
    memcpy(buf, module[i].data + off, n);
    return SE_OK;
}

/* A PE without VPE may be reset, and nothing but its reset. */
static void check_reset(unsigned pe, uint64_t addr, size_t n)
{
    if (!fake_can_reset || addr != VREG_BASE + VREG_RESET || n != 8)
        fake_die("strange access to our own registers");
    if (fake_reg(pe, DTU_VPE_ID) != DTU_VPE_INVALID)
        fake_die("the reset of a PE that has a VPE");
}

int hw_read(unsigned pe, unsigned vpe, uint64_t addr, void *buf, size_t n)
{
    int err = access_ok(pe, vpe);
    void *p;

    if (err != SE_OK)
        return err;
    if (pe == MEM_PE)
        return read_memory_pe(addr, buf, n);
    if (addr == VREG_BASE + VREG_OVER && n == 8) {
        memcpy(buf, &(uint64_t){fake[pe].over}, n);
        return SE_OK;
    }
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
        fake_die("a strange reset, or a second one");
    fake[pe].resetting = true;
}

static void write_regs(unsigned pe, uint64_t off, const void *buf, size_t n)
{
    if (off % 8 || n % 8 || off > DTU_WINDOW || n > DTU_WINDOW - off)
        fake_die("strange write to registers");
    memcpy(&fake[pe].reg[off / 8], buf, n);
    if (fake_reg(pe, DTU_VPE_ID) != DTU_VPE_INVALID && fake[pe].resetting)
        fake_die("a VPE on a PE where its predecessor still runs");
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
        fake_die("write outside the memory");
    store(fake[pe].low, 0, LOW_SIZE, addr, buf, n);
    store(fake[pe].prog, PE_PROGRAM_ADDR, PROG_SIZE, addr, buf, n);
    return SE_OK;
}

int hw_wipe(unsigned pe, unsigned vpe, uint64_t addr, uint64_t end)
{
    int err = access_ok(pe, vpe);

    if (pe != MEM_PE)
        fake_die("other memory than the memory PE's is cleared");
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

/* A call that came along with its VPE is answered by SEND. */
static int take_reply(struct fake_pe *f, const void *data, size_t n)
{
    if (n > sizeof(f->reply.word))
        fake_die("a long answer");
    memset(f->reply.word, 0, sizeof(f->reply.word));
    memcpy(f->reply.word, data, n);
    f->reply.len = n;
    f->reply.count++;
    return SE_OK;
}

int hw_send(const struct hw_target *to, const void *data, size_t n, unsigned reply_ep,
            uint64_t reply_label)
{
    int err = fake_send_error ? fake_send_error : access_ok(to->pe, to->vpe);
    struct fake_request *r = &fake[to->pe].request;

    fake_send_error = 0;
    if (err == SE_OK && fake_refuse)
        err = (int)fake_refuse();
    if (err != SE_OK)
        return err;
    if (fake[to->pe].is_kernel)
        return fake_wire_send(to, data, n, reply_ep, reply_label);
    if (fake_ep_type(to->pe, to->ep) != DTU_EP_RECV)
        return SE_RECV_GONE;
    if (to->ep == VPE_EP_RECV)
        return take_reply(&fake[to->pe], data, n);
    if (reply_ep != KERN_EP_SRV || n > sizeof(r->word))
        fake_die("strange message to a service");
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

uint64_t hw_ticks(void)
{
    static uint64_t ticks;

    return ticks += 10;
}

int hw_reply(unsigned ep, const struct dtu_header *msg, const void *data, size_t n)
{
    struct fake_pe *f = slot_owner(msg);

    if (fake_dead)
        return SE_OK;
    if (ep >= KERN_SYSC_EPS || !f || !f->slot_used || n > sizeof(f->reply.word))
        fake_die("reply to what is no message");
    f->slot_used = false;
    take_reply(f, data, n);
    /* The reply brings back the credits (dtu-spec 3.4). */
    if (dtu_ep_type(f->reg[DTU_EP(0, 0) / 8]) == DTU_EP_SEND)
        f->reg[DTU_EP(0, 1) / 8] += SYSC_MSG_MAX;
    return SE_OK;
}

void hw_ack(unsigned ep, const struct dtu_header *msg)
{
    struct fake_pe *f = slot_owner(msg);

    if (fake_dead || ep == KERN_EP_SRV || (ep >= KC_EP && ep < KC_EP + KC_EPS))
        return;
    if (ep >= KERN_SYSC_EPS)
        fake_die("ack on a strange endpoint");
    if (f && !f->slot_used)
        fake_die("ack of what is no message");
    if (f)
        f->slot_used = false;
}

/* ---- what tests use ---- */

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
        fake_die("no VPE");
    set(v->pe, ENTRY, PE_PROGRAM_ADDR);
    if (vpe_start(v) != SE_OK || fake[v->pe].idle)
        fake_die("the VPE does not start");
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

/* The kernel that its system calls go to. */
static unsigned whose(unsigned pe)
{
    return fake[(fake_reg(pe, DTU_EP(VPE_EP_SYSC, 1)) >> 24) & 0x3FF].kernel;
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
        fake_die("a second call, or one without a gate");
    if (len + sizeof(h) > SYSC_MSG_MAX)
        fake_die("too long for the endpoint");
    r[1] -= SYSC_MSG_MAX;
    memset(f->slot, 0xA5, sizeof(f->slot)); /* what an earlier message left */
    memcpy(f->slot, &h, sizeof(h));
    memcpy(f->slot + sizeof(h), payload, len);
    f->slot_used = true;
    f->slot_at = whose(pe);
    fake_use(f->slot_at);
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
        fake_die("an answer without a request");
    r->there = false;
    fake_use(whose(pe));
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

void fake_reset_all(void)
{
    memset(module, 0, sizeof(module));
    console_len = 0;
    console[0] = 0;
    fake_send_error = 0;
    fake_refuse = NULL;
    fake_heap_left = ~(size_t)0;
    heap_bytes = 0;
    wiped_bytes = 0;
    fake_can_reset = true;
}
