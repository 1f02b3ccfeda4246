/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU of a bare PE and its interrupts; see bare.h.
 */
#include "bare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "nic.h"
#include "pe.h"
#include "shim.h"

int bare_new(struct pe *pe, unsigned irq)
{
    pe->bare = calloc(1, sizeof(*pe->bare));
    if (!pe->bare)
        return -ENOMEM;
    pe->bare->irq = irq;
    bare_reset(pe);
    return 0;
}

void bare_free(struct pe *pe)
{
    free(pe->bare);
    pe->bare = NULL;
}

void bare_reset(struct pe *pe)
{
    pic_reset(&pe->bare->pic);
    pic_set_level(&pe->bare->pic, pe->bare->irq);
    pe->bare->if_set = false;
}

void bare_regs(struct kvm_sregs *s)
{
    shim_sregs_bare(s);
}

/* The NIC's line, as it is now. */
static bool look(struct pe *pe)
{
    struct bare *b = pe->bare;
    unsigned rises = nic_rises(pe->nic);

    pic_line(&b->pic, b->irq, nic_line(pe->nic), rises != b->rises);
    b->rises = rises;
    return pic_output(&b->pic);
}

bool bare_interrupt(struct pe *pe)
{
    return pe->bare->if_set && look(pe);
}

int bare_enter(struct pe *pe)
{
    struct kvm_interrupt irq;
    bool more = look(pe);

    if (more && pe->run->ready_for_interrupt_injection) {
        irq.irq = pic_acknowledge(&pe->bare->pic);
        if (ioctl(pe->vcpu_fd, KVM_INTERRUPT, &irq) < 0)
            return -errno;
        pe->bare->interrupts++;
        pe->run->ready_for_interrupt_injection = 0; /* until the CPU has taken it */
        more = pic_output(&pe->bare->pic);
    }
    pe->run->request_interrupt_window = more;
    return 0;
}

void bare_leave(struct pe *pe)
{
    pe->bare->if_set = pe->run->if_flag;
}

/* String instructions carry several values. */
static bool pic_port(struct pe *pe)
{
    struct kvm_run *run = pe->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    bool ours = run->io.size == 1;

    for (uint32_t i = 0; i < run->io.count && ours; i++)
        ours = run->io.direction == KVM_EXIT_IO_OUT
                   ? pic_write(&pe->bare->pic, run->io.port, data[i])
                   : pic_read(&pe->bare->pic, run->io.port, &data[i]);
    return ours;
}

void bare_port(struct pe *pe)
{
    look(pe); /* what it reads, and what is acknowledged by a poll, is what is true now */
    if (pic_port(pe) || nic_port(pe->nic, pe->run))
        pe->exits[PX_NIC]++;
    else
        pe->exits[PX_OUTSIDE]++;
}
