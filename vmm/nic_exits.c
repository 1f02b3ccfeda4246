/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NIC's part of the exit loop.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "../netdev/e1000.h"
#include "nic_impl.h"

/*
 * Before the guest runs: the I/O thread looks after stores that no exit follows.  Once it knows, it
 * stays for a while, so this costs nothing most of the time.
 */
void nic_enter(struct nic *n)
{
    atomic_store(&n->inside, true);
    if (atomic_load(&n->started) && !atomic_load(&n->watched) &&
        !atomic_exchange(&n->watched, true))
        nic_io_wake(n);
}

void nic_leave(struct nic *n)
{
    atomic_store(&n->inside, false);
    if (!nic_has_posts(n))
        return;
    pthread_mutex_lock(&n->lock);
    n->flushes++;
    nic_serve_posts(n);
    pthread_mutex_unlock(&n->lock);
}

/* String instructions carry several values. */
bool nic_port(struct nic *n, struct kvm_run *run)
{
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    uint32_t value;
    bool ours = true;

    pthread_mutex_lock(&n->lock);
    for (uint32_t i = 0; i < run->io.count && ours; i++, data += run->io.size) {
        value = 0;
        n->ports++;
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            memcpy(&value, data, run->io.size);
            ours = netdev_port_write(n->dev, run->io.port, run->io.size, value);
        } else {
            ours = netdev_port_read(n->dev, run->io.port, run->io.size, &value);
            memcpy(data, &value, run->io.size);
        }
        /* Of CF8h-CFFh what is no configuration access is nobody's, as on a PC. */
        ours |= run->io.port >= 0xCF8 && run->io.port < 0xD00;
    }
    if (n->nout)
        nic_io_flush(n);
    pthread_mutex_unlock(&n->lock);
    return ours;
}

bool nic_mmio(struct nic *n, struct kvm_run *run)
{
    uint64_t window = atomic_load(&n->window), addr = run->mmio.phys_addr, value = 0;
    uint32_t len = run->mmio.len <= 8 ? run->mmio.len : 8;

    if (!window || addr < window || addr - window >= NETDEV_BAR0_SIZE)
        return false;
    pthread_mutex_lock(&n->lock);
    if (run->mmio.is_write) {
        n->mmio_writes++;
        memcpy(&value, run->mmio.data, len);
        netdev_mmio_write(n->dev, (uint32_t)(addr - window), len, value);
    } else {
        n->mmio_reads++;
        value = netdev_mmio_read(n->dev, (uint32_t)(addr - window), len);
        memcpy(run->mmio.data, &value, len);
    }
    if (n->nout)
        nic_io_flush(n);
    pthread_mutex_unlock(&n->lock);
    return true;
}

bool nic_take_causes(struct nic *n, uint32_t next, uint32_t *causes)
{
    bool unseen;

    pthread_mutex_lock(&n->lock);
    *causes = (uint32_t)netdev_mmio_read(n->dev, E_ICR, 4);
    unseen = (uint32_t)netdev_mmio_read(n->dev, E_RDH, 4) != next;
    pthread_mutex_unlock(&n->lock);
    return unseen || (*causes & ICR_LSC);
}

/* Where the program has all ports (shim.h) it can raise the exits of the stubs itself. */
bool nic_is_stub(struct nic *n)
{
    struct kvm_sregs s;

    return !n->iopl || (ioctl(n->pe->vcpu_fd, KVM_GET_SREGS, &s) == 0 && s.cs.dpl == 0);
}
