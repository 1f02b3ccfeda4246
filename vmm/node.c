/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Putting a node together: memories, NoC, DTUs, boot contents; and taking it apart again.
 *
 * Memories are anonymous mappings without reserved swap: a page costs nothing until somebody
 * touches it.  Huge pages are refused for local memories, or the first byte of a waiting PE would
 * cost 2 MiB.
 */
#include "node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../include/boot.h"
#include "../include/mapped.h"
#include "bare.h"
#include "bridge.h"
#include "doctor.h"
#include "exits.h"
#include "mapped.h"
#include "nic.h"
#include "sched.h"
#include "window.h"

/* DTU registers, our registers, tables of the rings and of what is mapped; exception stack, bounce
 * page */
#define READ_PAGES   (2u + (RING_TABLE_SIZE + MAP_TABLE_SIZE) / 4096u)
#define PAGES_PER_PE (READ_PAGES + 2u)
#define OWN_SIZE     (PAGES_PER_PE * 4096u)
#define FDS_PER_PE   2u
#define FDS_BESIDES  64u

uint64_t host_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct pe *node_pe(const struct node *n, unsigned id)
{
    unsigned first = n->pes[0].id;

    /* In a row, but for the bridge at the end. */
    if (id >= first && id - first < n->npes && n->pes[id - first].id == id)
        return &n->pes[id - first];
    return id == n->pes[n->npes - 1].id ? &n->pes[n->npes - 1] : NULL;
}

bool node_finish(struct node *n, enum node_end why, uint32_t status)
{
    int runs = NODE_RUNS;
    uint64_t one = 1;

    if (atomic_load(&n->end) != NODE_RUNS)
        return false;
    /* The status must be there before anybody can see that the run has ended. */
    if (atomic_exchange(&n->ending, true))
        return false;
    n->exit_status = status;
    vdtu_noc_halt(n->noc);
    atomic_compare_exchange_strong(&n->end, &runs, why);
    return write(n->wake_fd, &one, sizeof(one)) == sizeof(one) || true;
}

void node_log(const struct node *n, int level, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    int len;

    if (level > (int)n->desc->log_level)
        return;
    va_start(ap, fmt);
    len = vsnprintf(text, sizeof(text) - 1, fmt, ap);
    va_end(ap);
    if (len < 0)
        return;
    fprintf(stderr, "sempervm: %s\n", text);
}

/* Every PE takes two descriptors; the soft limit may be far below what the host allows. */
static int raise_fd_limit(unsigned npes, char *err, size_t errsize)
{
    rlim_t need = npes * FDS_PER_PE + FDS_BESIDES;
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= need)
        return 0;
    if (l.rlim_max >= need) {
        l.rlim_cur = need;
        if (setrlimit(RLIMIT_NOFILE, &l) == 0)
            return 0;
    }
    snprintf(err, errsize,
             "%u PEs need %llu file descriptors, the limit is %llu: use fewer PEs or raise "
             "`ulimit -n`",
             npes, (unsigned long long)need, (unsigned long long)l.rlim_max);
    return -EMFILE;
}

static void *map_memory(uint64_t size, bool small_pages)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    if (small_pages)
        madvise(p, size, MADV_NOHUGEPAGE); /* fails where there are none: nothing to refuse */
    return p;
}

/* The same, if *fd is to become a file that others can map, too. */
static void *map_file(uint64_t size, bool small_pages, const char *name, bool file, int *fd)
{
    void *p;

    if (!file)
        return map_memory(size, small_pages);
    *fd = memfd_create(name, MFD_CLOEXEC);
    if (*fd < 0 || ftruncate(*fd, (off_t)size) < 0)
        return NULL;
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, *fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int add_memory_pe(struct node *n)
{
    struct vdtu_config cfg = {
        .pe = (uint16_t)machine_mem_pe(n->desc), .memory_pe = true, .mem_size = n->desc->dram_size};

    if (cfg.pe == MACHINE_NO_PE)
        return 0;
    n->dram = map_file(cfg.mem_size, false, "sempervm-dram", n->files, &n->dram_fd);
    if (!n->dram)
        return -ENOMEM;
    cfg.mem = n->dram;
    cfg.regs = n->pages;
    return vdtu_new(n->noc, &cfg, &n->dram_dtu);
}

static int add_pe(struct node *n, struct pe *pe, uint64_t *offset)
{
    struct vdtu_config cfg = {.pe = pe->id, .ops = &pe_dtu_ops, .arg = pe};

    pe->mem_size = machine_spm(n->desc, pe->id);
    pe->mem = n->mem + *offset;
    *offset += pe->mem_size;
    pe->regs = n->pages + (pe->place + 1) * (size_t)OWN_SIZE;
    pe->shim = pe->regs + READ_PAGES * 4096;
    atomic_store(&pe->barrier, DTU_RW_BARRIER);
    cfg.mem = pe->mem;
    cfg.mem_size = pe->mem_size;
    cfg.regs = pe->regs;
    vreg_reset(pe);
    return vdtu_new(n->noc, &cfg, &pe->dtu);
}

/* One mapping for all PEs: the host's work per VM grows with the mappings of the process. */
static int map_all(struct node *n)
{
    unsigned i;

    for (i = 0; i < n->npes; i++)
        n->mem_size += machine_spm(n->desc, n->pes[i].id);
    n->mem = map_file(n->mem_size, true, "sempervm-mem", n->files, &n->mem_fd);
    n->pages = map_memory((n->npes + 1u) * (uint64_t)OWN_SIZE, true);
    n->shim_readonly = strcmp(doctor_kvm_flavour(), "kvm_pvm") == 0;
    n->shim_size = SHIM_SHARED_SIZE * (n->shim_readonly ? 1 : (size_t)n->npes);
    n->shim = map_memory(n->shim_size, true);
    if (n->shim)
        shim_build(n->shim);
    for (i = 1; n->shim && !n->shim_readonly && i < n->npes; i++)
        memcpy(n->shim + i * (size_t)SHIM_SHARED_SIZE, n->shim, SHIM_SHARED_SIZE);
    return n->mem && n->pages && n->shim ? 0 : -ENOMEM;
}

static int add_pes(struct node *n)
{
    uint64_t offset = 0;
    unsigned i;
    int r;

    n->npes = machine_npes(n->desc);
    n->pes = calloc(n->npes, sizeof(*n->pes));
    if (!n->pes)
        return -ENOMEM;
    for (i = 0; i < n->npes; i++) {
        n->pes[i].node = n;
        n->pes[i].id = (uint16_t)machine_pe(n->desc, i);
        n->pes[i].place = i;
        n->pes[i].vm_fd = n->pes[i].vcpu_fd = -1;
    }
    r = map_all(n);
    if (r == 0)
        r = add_memory_pe(n);
    for (i = 0; r == 0 && i < n->npes; i++)
        r = add_pe(n, &n->pes[i], &offset);
    return r;
}

static int create_vms(struct node *n, char *err, size_t errsize)
{
    unsigned i;
    int r = 0;

    for (i = 0; r == 0 && i < n->npes; i++)
        r = pe_create(&n->pes[i], &n->kvm, err, errsize);
    return r;
}

static int load(struct node *n, struct diag *diag, char *err, size_t errsize)
{
    struct loader_mem mem = {.mem = calloc(n->npes + 1, sizeof(void *))};
    unsigned i;
    int r;

    if (!mem.mem)
        return -ENOMEM;
    mem.mem[0] = n->dram;
    for (i = 0; i < n->npes; i++)
        mem.mem[i + 1] = n->pes[i].mem;
    r = loader_boot(n->desc, &mem, &n->boot, diag);
    for (i = 0; r == 0 && i < n->npes; i++)
        n->pes[i].entry = n->boot.entry[i + 1];
    free(mem.mem);
    if (r < 0 && diag_count(diag) == 0)
        snprintf(err, errsize, "cannot load the programs: %s", strerror(-r));
    return r;
}

static int add_nic(struct node *n)
{
    const struct machine *m = n->desc;
    struct pe *pe = node_pe(n, machine_nic_pe(m));
    int r;

    if (!pe)
        return 0;
    if (m->nic.irq && (r = bare_new(pe, m->nic.irq)) < 0)
        return r;
    r = nic_new(pe, m->nnodes ? m->node[m->self].mac : m->nic.mac);
    if (r == 0)
        vreg_reset(pe); /* now with a NIC */
    return r;
}

struct pe *node_nic(const struct node *n)
{
    struct pe *pe = node_pe(n, machine_nic_pe(n->desc));

    return pe && pe->nic ? pe : NULL;
}

void node_stop_nic(struct node *n)
{
    struct pe *pe = node_nic(n);

    if (pe)
        nic_stop(pe->nic);
}

static int start_nic(struct node *n, struct diag *diag, char *err, size_t errsize)
{
    struct pe *pe = node_nic(n);
    int r = pe ? nic_start(pe->nic, n->desc, err, errsize) : 0;

    n->external = pe && !n->desc->seed.on;
    if (r == -EINVAL)
        diag_add(diag, NULL, 0, "%s", err);
    return r;
}

/* The TSC's rate as KVM knows it; 0: it does not say. */
static uint64_t tsc_hz(int vm_fd)
{
    int khz = ioctl(vm_fd, KVM_GET_TSC_KHZ, 0);

    return khz > 0 ? (uint64_t)khz * 1000u : 0;
}

/*
 * In a run that is ordered or recorded every message has to be seen: no rings there.
 */
static bool rings_possible(const struct machine *desc)
{
    return !desc->no_rings && !desc->seed.on && !desc->seed.trace;
}

/* What PEs exchange through memory that they share nobody orders and nobody records. */
static bool maps_possible(const struct machine *desc)
{
    return desc->mapped && !desc->seed.on && !desc->seed.trace;
}

int node_open(struct node *n, const struct machine *desc, struct diag *diag, char *err,
              size_t errsize)
{
    unsigned i;
    int r;

    memset(n, 0, sizeof(*n));
    n->desc = desc;
    n->kvm.fd = n->wake_fd = n->dram_fd = n->mem_fd = -1;
    n->files = maps_possible(desc);
    n->sched = desc->seed.on ? &sched_seed : &sched_threads;
    n->start_ns = host_now();
    n->host_cores = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    if ((r = raise_fd_limit(machine_npes(desc), err, errsize)) < 0 ||
        (r = kvm_open(&n->kvm, err, errsize)) < 0)
        return r;
    n->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    n->noc = vdtu_noc_new();
    r = n->wake_fd < 0 ? -errno : n->noc ? 0 : -ENOMEM;
    if (r == 0 && (desc->report & REPORT_PAIRS))
        r = vdtu_noc_count_pairs(n->noc);
    if (r == 0)
        r = add_pes(n);
    if (r == 0)
        r = add_nic(n);
    if (r == 0 && rings_possible(desc))
        r = windows_open(n);
    if (r == 0 && n->files)
        r = mapped_open(n);
    for (i = 0; r == 0 && i < n->npes; i++)
        vreg_reset(&n->pes[i]);
    if (r == 0)
        r = bridge_attach(n);
    if (r == 0 && n->sched->prepare)
        r = n->sched->prepare(n);
    if (r < 0) {
        snprintf(err, errsize, "cannot set up %u PEs: %s: use fewer or less memory (--spm, --dram)",
                 machine_npes(desc), strerror(-r));
        return r;
    }
    r = create_vms(n, err, errsize);
    if (r < 0)
        return r;
    n->tsc_hz = tsc_hz(n->pes[0].vm_fd);
    for (i = 0; i < n->npes; i++)
        *pe_vreg(&n->pes[i], VREG_TSC_HZ) = n->tsc_hz;
    r = load(n, diag, err, errsize);
    return r == 0 ? start_nic(n, diag, err, errsize) : r;
}

int node_restart(struct node *n, char *err, size_t errsize)
{
    struct node kept = *n;
    struct diag diag = {0};
    int r;

    n->wake_fd = -1;
    node_close(n);
    r = node_open(n, kept.desc, &diag, err, errsize);
    if (r < 0 && diag_count(&diag))
        snprintf(err, errsize, "node %u cannot be started again: its programs have changed",
                 kept.desc->self);
    diag_free(&diag);
    if (n->wake_fd >= 0)
        close(n->wake_fd);
    n->wake_fd = kept.wake_fd;
    n->console = kept.console;
    n->rec = kept.rec;
    n->sched_state = kept.sched_state;
    n->life = kept.life + 1;
    bridge_new_life(n);
    return r;
}

void node_close(struct node *n)
{
    unsigned i;

    for (i = 0; n->pes && i < n->npes; i++) {
        pe_close(&n->pes[i]);
        nic_free(n->pes[i].nic);
        bare_free(&n->pes[i]);
        vdtu_free(n->pes[i].dtu);
    }
    if (n->dram_dtu)
        vdtu_free(n->dram_dtu);
    if (n->dram)
        munmap(n->dram, n->desc->dram_size);
    if (n->mem)
        munmap(n->mem, n->mem_size);
    if (n->pages)
        munmap(n->pages, (n->npes + 1u) * (uint64_t)OWN_SIZE);
    if (n->shim)
        munmap(n->shim, n->shim_size);
    if (n->stacks)
        munmap(n->stacks, n->stacks_size);
    free(n->pes);
    loader_free(&n->boot);
    vdtu_noc_free(n->noc);
    bridge_detach(n);
    windows_close(n);
    mapped_close(n);
    if (n->dram_fd >= 0)
        close(n->dram_fd);
    if (n->mem_fd >= 0)
        close(n->mem_fd);
    if (n->wake_fd >= 0)
        close(n->wake_fd);
    kvm_close(&n->kvm);
}
