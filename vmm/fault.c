/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fault reports.  The PE's registers are read while it stands still; its memory through the DTU's
 * lock, because other PEs may be writing to it.
 */
#include "fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "bridge.h"
#include "node.h"
#include "record.h"

#define CODE_BYTES 16u

struct report {
    char text[2048];
    size_t len;
};

static void add(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct report *r, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(r->text + r->len, sizeof(r->text) - r->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        r->len += (size_t)n < sizeof(r->text) - r->len ? (size_t)n : sizeof(r->text) - r->len - 1;
}

static void add_registers(struct report *r, const struct kvm_regs *g)
{
    const struct {
        const char *name;
        uint64_t value;
    } row[] = {{"rax", g->rax}, {"rbx", g->rbx}, {"rcx", g->rcx}, {"rdx", g->rdx},
               {"rsi", g->rsi}, {"rdi", g->rdi}, {"rbp", g->rbp}, {"rsp", g->rsp},
               {"r8 ", g->r8},  {"r9 ", g->r9},  {"r10", g->r10}, {"r11", g->r11},
               {"r12", g->r12}, {"r13", g->r13}, {"r14", g->r14}, {"r15", g->r15}};
    unsigned i;

    for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        add(r, "%s%s %016llx%s", i % 4 ? "  " : "  ", row[i].name, (unsigned long long)row[i].value,
            i % 4 == 3 ? "\n" : "");
}

static void add_code(struct report *r, struct pe *pe, uint64_t rip)
{
    uint8_t bytes[CODE_BYTES];
    uint64_t n = vdtu_mem_read(pe->dtu, rip, bytes, sizeof(bytes));
    unsigned i;

    add(r, "  code");
    for (i = 0; i < n; i++)
        add(r, " %02x", bytes[i]);
    add(r, "%s\n", n ? "" : " (RIP is outside the PE's memory)");
}

static void add_where(struct report *r, struct pe *pe, uint64_t rip)
{
    uint8_t bytes[CODE_BYTES];
    uint64_t n = vdtu_mem_read(pe->dtu, rip, bytes, sizeof(bytes));
    char symbol[160];

    add(r, "  rip %016llx", (unsigned long long)rip);
    if (n && loader_symbol(&pe->node->boot, rip, bytes, n, symbol, sizeof(symbol)) == 0)
        add(r, " %s", symbol);
    add(r, "\n");
}

void fault_report(struct pe *pe, const char *reason, bool from_shim)
{
    const struct shim_frame *f = shim_frame(pe->shim);
    struct report r = {.len = 0};
    struct kvm_sregs s;
    struct kvm_regs g;

    memset(&g, 0, sizeof(g));
    memset(&s, 0, sizeof(s));
    ioctl(pe->vcpu_fd, KVM_GET_REGS, &g); /* zeros in the report if KVM refuses */
    ioctl(pe->vcpu_fd, KVM_GET_SREGS, &s);
    if (from_shim) {
        g.rip = f->rip;
        g.rsp = f->rsp;
        g.rflags = f->rflags;
    }
    node_record(pe->node, &(struct trace_record){
                              .op = TR_FAULT, .pe = pe->id, .peer = 0xFFFF, .label = g.rip});
    add(&r, "sempervm: PE %u: fault: %s", pe->id, reason);
    if (from_shim)
        add(&r, ", error code %#llx", (unsigned long long)f->error);
    add(&r, ", VPE %u\n", (unsigned)vdtu_reg(pe->dtu, DTU_VPE_ID));
    add_where(&r, pe, g.rip);
    add(&r, "  cr2 %016llx  flags %08llx\n", (unsigned long long)s.cr2,
        (unsigned long long)g.rflags);
    add_registers(&r, &g);
    add_code(&r, pe, g.rip);
    fwrite(r.text, 1, r.len, stderr);
}

/* Each PE's page has a count of its own: two PEs that end at once both add to it. */
void pe_tell_over(struct pe *pe)
{
    struct node *n = pe->node;
    unsigned i;

    atomic_store(&pe->over, true);
    for (i = 0; i < n->npes; i++) {
        __atomic_fetch_add(pe_vreg(&n->pes[i], VREG_OVER), 1, __ATOMIC_SEQ_CST);
        if (atomic_load(&n->pes[i].hears))
            vdtu_wakeup(n->pes[i].dtu);
    }
}

bool pe_hear_over(struct pe *pe)
{
    if (!(vdtu_reg(pe->dtu, DTU_STATUS) & DTU_STATUS_PRIV))
        return false;
    atomic_store(&pe->hears, true);
    return true;
}

void pe_fault(struct pe *pe, const char *reason)
{
    pe->exits[PX_FAULT]++;
    fault_report(pe, reason, false);
    pe->end = PE_FAULTED;
    bridge_pe_over(pe);
    pe_tell_over(pe);
}
