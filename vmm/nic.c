/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device in its PE: guest memory, interrupt line, posted stores, and how KVM is told.
 */
#include "nic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "../netdev/e1000.h"
#include "bare.h"
#include "nic_impl.h"
#include "sched.h"

#define SLOT_TSS 5u

/* ---- what the device asks of us; lock held ---- */

/*
 * Only this PE's own memory is there for DMA; anything else is a master abort.  What the PE itself
 * may not write, from RW_BARRIER up (dtu-spec 5.5), its NIC does not write for it.
 */
static bool inside(const struct nic *n, uint64_t gpa, size_t len)
{
    return gpa <= n->pe->mem_size && len <= n->pe->mem_size - gpa;
}

static int dma_read(void *arg, uint64_t gpa, void *buf, size_t len)
{
    struct nic *n = arg;

    return inside(n, gpa, len) && vdtu_mem_read(n->pe->dtu, gpa, buf, len) == len ? 0 : -EFAULT;
}

static int dma_write(void *arg, uint64_t gpa, const void *buf, size_t len)
{
    struct nic *n = arg;

    if (!inside(n, gpa, len) || gpa + len > atomic_load(&n->pe->barrier))
        return -EFAULT;
    return vdtu_mem_write(n->pe->dtu, gpa, buf, len) == len ? 0 : -EFAULT;
}

static void transmit(void *arg, const void *frame, size_t len)
{
    struct nic *n = arg;

    nic_record_frame(n, true, frame, len);
    if (n->transmit)
        n->transmit(n->transmit_arg, frame, len);
}

static void on_line(void *arg, bool level)
{
    struct nic *n = arg;

    atomic_store(&n->line, level);
    if (!level)
        return;
    atomic_fetch_add(&n->rises, 1);
    /* A bare PE looks at the line behind nic_enter(); if it is inside it has to come out for it. */
    if (n->pe->bare && atomic_load(&n->inside))
        n->pe->node->sched->kick(n->pe);
    else
        n->pe->node->sched->wake(n->pe);
}

/* Frames that wait for buffers may be offered again. */
static void on_room(void *arg)
{
    struct nic *n = arg;

    if (atomic_load(&n->holding))
        nic_io_wake(n);
}

/* A doorbell is worth a bounded amount of work; the rest is for serve_rest(). */
static void on_kick(void *arg)
{
    struct nic *n = arg;

    atomic_store(&n->more, true);
    if (atomic_load(&n->started))
        nic_io_wake(n);
}

static uint64_t now(void *arg)
{
    struct nic *n = arg;

    return n->pe->node->sched->now(n->pe->node);
}

static void note(void *arg, const char *what, uint32_t offset)
{
    struct nic *n = arg;

    node_log(n->pe->node, LOG_INFO, "PE %u: NIC: %s (register %#x)", n->pe->id, what, offset);
}

/* A window moved: which ports the PE may use, and where KVM queues stores. */
static void on_windows(void *arg)
{
    struct nic *n = arg;
    uint64_t at, size;

    if (!n->dev)
        return;
    if (n->io_ports)
        shim_tss_ports(n->tss, n->io_ports, NETDEV_BAR1_SIZE, false);
    n->io_ports = 0;
    if (netdev_window(n->dev, 1, &at, &size) && shim_port_is_free((uint16_t)at, (unsigned)size)) {
        n->io_ports = (uint16_t)at;
        shim_tss_ports(n->tss, n->io_ports, (unsigned)size, true);
    }
    atomic_store(&n->window, netdev_window(n->dev, 0, &at, &size) ? at : 0);
    nic_move_zones(n);
}

static const struct netdev_ops nic_ops = {
    .dma_read = dma_read,
    .dma_write = dma_write,
    .transmit = transmit,
    .irq = on_line,
    .kick = on_kick,
    .rx_ready = on_room,
    .windows = on_windows,
    .now = now,
    .note = note,
};

/* ---- life ---- */

static void config_write(struct nic *n, unsigned reg, uint32_t value)
{
    netdev_port_write(n->dev, 0xCF8, 4, 0x80000000u | reg);
    netdev_port_write(n->dev, 0xCFC, 4, value);
}

#define NO_IRQ 0xFFu /* of the register Interrupt Line: the pin leads nowhere */

/*
 * What a PC's firmware leaves behind: both windows placed and switched on, no bus mastering, and
 * the input of the interrupt controllers that the pin leads to.
 */
static void firmware(struct nic *n)
{
    config_write(n, 0x10, NIC_BAR0);
    config_write(n, 0x14, NIC_BAR1);
    config_write(n, 0x3C, n->pe->bare ? n->pe->bare->irq : NO_IRQ);
    config_write(n, 0x04, 0x3);
    netdev_port_write(n->dev, 0xCF8, 4, 0);
}

int nic_new(struct pe *pe, const uint8_t mac[6])
{
    struct netdev_config cfg = {.ops = &nic_ops};
    struct nic *n = calloc(1, sizeof(*n));

    if (!n)
        return -ENOMEM;
    n->pe = pe;
    n->wake_fd = n->poke_fd = -1;
    pthread_mutex_init(&n->rx_lock, NULL);
    pthread_mutex_init(&n->lock, NULL);
    pthread_mutex_init(&n->post_lock, NULL);
    n->tss = mmap(NULL, SHIM_TSS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (n->tss == MAP_FAILED)
        n->tss = NULL;
    memcpy(cfg.mac, mac, 6);
    cfg.arg = n;
    n->dev = n->tss ? netdev_new(&cfg) : NULL;
    if (!n->dev) {
        nic_free(n);
        return -ENOMEM;
    }
    n->iopl = shim_needs_iopl();
    shim_build_tss(n->tss);
    shim_tss_ports(n->tss, 0xCF8, 8, true);
    pe->nic = n;
    pthread_mutex_lock(&n->lock);
    firmware(n);
    pthread_mutex_unlock(&n->lock);
    return 0;
}

void nic_free(struct nic *n)
{
    if (!n)
        return;
    nic_io_close(n);
    if (n->tss)
        munmap(n->tss, SHIM_TSS_SIZE);
    netdev_free(n->dev);
    pthread_mutex_destroy(&n->lock);
    pthread_mutex_destroy(&n->post_lock);
    pthread_mutex_destroy(&n->rx_lock);
    free(n);
}

void nic_set_wire(struct nic *n, nic_transmit_fn fn, void *arg)
{
    pthread_mutex_lock(&n->lock);
    n->transmit = fn;
    n->transmit_arg = arg;
    pthread_mutex_unlock(&n->lock);
}

enum netdev_rx nic_input(struct nic *n, const void *frame, size_t len)
{
    enum netdev_rx r;

    pthread_mutex_lock(&n->lock);
    nic_serve_posts(n);
    r = netdev_receive(n->dev, frame, len);
    if (r != NETDEV_RX_NO_BUFFER) /* else it is offered again */
        nic_record_frame(n, false, frame, len);
    pthread_mutex_unlock(&n->lock);
    return r;
}

void nic_pe_reset(struct nic *n)
{
    pthread_mutex_lock(&n->lock);
    nic_serve_posts(n);
    netdev_reset(n->dev);
    firmware(n);
    pthread_mutex_unlock(&n->lock);
}

bool nic_line(const struct nic *n)
{
    return atomic_load(&n->line);
}

unsigned nic_rises(const struct nic *n)
{
    return atomic_load(&n->rises);
}

/* ---- KVM ---- */

/* May a store to this register wait in a queue?  Doorbells may: whoever serves the queue comes at
 * every exit of the PE, and in bounded time without one. */
static bool may_wait(uint32_t off)
{
    return netdev_mmio_lazy(off) || off == E_TDT || off == E_RDT;
}

static int zone_ioctl(struct nic *n, unsigned long what, uint64_t base)
{
    uint32_t off = 0;

    while (off < NETDEV_BAR0_SIZE) {
        struct kvm_coalesced_mmio_zone z = {.addr = base + off};

        while (off < NETDEV_BAR0_SIZE && may_wait(off))
            off += 4;
        z.size = (uint32_t)(base + off - z.addr);
        if (z.size && ioctl(n->pe->vm_fd, what, &z) < 0)
            return -errno;
        while (off < NETDEV_BAR0_SIZE && !may_wait(off))
            off += 4;
    }
    return 0;
}

/* A window within local memory is nobody's: the memory answers, and stores must not be queued. */
void nic_move_zones(struct nic *n)
{
    uint64_t to = atomic_load(&n->window);

    if (n->pe->vm_fd < 0 || !n->pe->run || to == n->zones)
        return;
    if (n->zones)
        zone_ioctl(n, KVM_UNREGISTER_COALESCED_MMIO, n->zones);
    n->zones = 0;
    /* A KVM that refuses costs an exit a store, nothing else. */
    if (to >= n->pe->mem_size && to && zone_ioctl(n, KVM_REGISTER_COALESCED_MMIO, to) == 0)
        n->zones = to;
}

int nic_attach(struct nic *n)
{
    struct kvm_userspace_memory_region r = {.slot = SLOT_TSS,
                                            .guest_phys_addr = SHIM_TSS_GPA,
                                            .memory_size = SHIM_TSS_SIZE,
                                            .userspace_addr = (uint64_t)(uintptr_t)n->tss};

    if (ioctl(n->pe->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) < 0)
        return -errno;
    pthread_mutex_lock(&n->lock);
    nic_move_zones(n);
    pthread_mutex_unlock(&n->lock);
    return 0;
}

/* ---- posted stores ---- */

static void post(struct nic *n, uint32_t off, uint32_t value)
{
    struct nic_post *last = &n->posts[(n->post_last - 1) % NIC_POSTS];

    n->posted++;
    /* The same register again, nothing between: the first value was never looked at. */
    if (n->post_last != n->post_first && last->off == off) {
        last->value = value;
        n->post_merged++;
        return;
    }
    if (n->post_last - n->post_first == NIC_POSTS) {
        n->post_lost++;
        return;
    }
    n->posts[n->post_last++ % NIC_POSTS] = (struct nic_post){off, value};
    atomic_store(&n->post_waiting, n->post_last - n->post_first);
}

bool nic_posted(struct nic *n, uint64_t addr, uint64_t value, unsigned size)
{
    uint64_t window = atomic_load(&n->window);

    if (!window || addr < window || addr - window >= NETDEV_BAR0_SIZE)
        return false;
    pthread_mutex_lock(&n->post_lock);
    /* Narrow or crooked ones mean nothing to the device; 8 bytes are two registers. */
    if (size >= 4 && addr % 4 == 0)
        post(n, (uint32_t)(addr - window), (uint32_t)value);
    else
        n->post_lost++;
    if (size == 8)
        post(n, (uint32_t)(addr - window) + 4, (uint32_t)(value >> 32));
    pthread_mutex_unlock(&n->post_lock);
    return true;
}

bool nic_has_posts(const struct nic *n)
{
    struct kvm_coalesced_mmio_ring *ring = atomic_load(&n->pe->ring);

    return atomic_load(&n->more) || atomic_load(&n->post_waiting) ||
           (ring && __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE) !=
                        __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE));
}

static bool take(struct nic *n, struct nic_post *p)
{
    bool any;

    pthread_mutex_lock(&n->post_lock);
    any = n->post_first != n->post_last;
    if (any)
        *p = n->posts[n->post_first++ % NIC_POSTS];
    atomic_store(&n->post_waiting, n->post_last - n->post_first);
    pthread_mutex_unlock(&n->post_lock);
    return any;
}

#define RESTS 4u

static void serve_rest(struct nic *n)
{
    for (unsigned i = 0; i < RESTS && atomic_exchange(&n->more, false); i++)
        if (netdev_poll(n->dev))
            atomic_store(&n->more, true);
    if (atomic_load(&n->more) && atomic_load(&n->started))
        nic_io_wake(n);
}

/* Bounded: what the guest adds meanwhile is served the next time. */
void nic_serve_posts(struct nic *n)
{
    struct nic_post p;
    unsigned i;

    vdtu_reg(n->pe->dtu, DTU_STATUS); /* empties KVM's queue into ours */
    for (i = 0; i < NIC_POSTS && take(n, &p); i++)
        netdev_mmio_write(n->dev, p.off, 4, p.value);
    serve_rest(n);
    if (n->nout)
        nic_io_flush(n);
}
