/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the NIC's parts: the device in its PE (nic.c), its exits (nic_exits.c), the host's side
 * (nic_io.c).
 */
#ifndef VMM_NIC_IMPL_H
#define VMM_NIC_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "../netdev/pcap.h"
#include "nic.h"
#include "node.h"
#include "pe.h"
#include "wire.h"

#define NIC_POSTS 1024u
#define NIC_ARENA (256u << 10) /* bytes of frames that wait to be sent together */

struct nic_post {
    uint32_t off, value;
};

struct nic {
    struct pe *pe;
    pthread_mutex_t lock; /* all of this but what says otherwise */
    struct netdev *dev;
    nic_transmit_fn transmit;
    void *transmit_arg;
    atomic_bool line;
    atomic_uint rises;
    uint8_t *tss;      /* the pages of the PE's own TSS */
    uint16_t io_ports; /* where the I/O window is granted; 0: nowhere */
    bool iopl;         /* this host's CPU does not look into the TSS (shim.h) */

    /* The memory window, and the queue for it. */
    _Atomic uint64_t window; /* its address; 0: switched off */
    uint64_t zones;          /* the address at which KVM queues stores; 0: nowhere */

    /* Posted stores; under post_lock. */
    pthread_mutex_t post_lock;
    struct nic_post posts[NIC_POSTS];
    uint32_t post_first, post_last; /* count up freely */
    uint64_t posted, post_merged, post_lost;
    atomic_uint post_waiting; /* how many; to look without the lock */

    atomic_bool more; /* the device has not sent all that its last doorbell was about */

    /* The host's side (nic_io.c). */
    struct wire *wire;
    struct pcap *pcap;
    pthread_t thread;
    int wake_fd;
    atomic_bool started, stop; /* the thread */
    atomic_bool watched;       /* it looks at posted stores */
    atomic_bool inside;        /* the PE is in its guest */
    uint8_t *arena;
    size_t arena_used;
    struct backend_frame out[WIRE_BATCH];
    unsigned nout;
    bool direct;           /* the PE's thread receives while the PE sleeps */
    int poke_fd;           /* wakes it */
    atomic_bool listening; /* it wants to be woken */
    pthread_mutex_t rx_lock;
    struct backend_frame in[WIRE_BATCH]; /* under rx_lock, as what follows */
    unsigned nin, in_at;                 /* received and not delivered: from in_at on */
    uint64_t held_since;
    atomic_bool holding;

    /* Counters. */
    uint64_t mmio_reads, mmio_writes, ports, flushes, thread_flushes, thread_looks;
    uint64_t batches, held, given_up, pcap_lost, direct_rx;
};

/* Carries out posted stores in their order, and sends what came of it; lock held. */
void nic_serve_posts(struct nic *n);
/* Is there anything for nic_serve_posts(): in KVM's queue, in ours, in the device?  Any thread. */
bool nic_has_posts(const struct nic *n);
/* KVM's queue for the memory window, where it is now; lock held. */
void nic_move_zones(struct nic *n);

/* nic_io.c, lock held: a frame to the wire, and all that wait; a frame to the recording. */
void nic_io_transmit(void *arg, const void *frame, size_t len);
void nic_io_flush(struct nic *n);
void nic_record_frame(struct nic *n, bool outbound, const void *frame, size_t len);
void nic_io_wake(struct nic *n);
void nic_io_close(struct nic *n);

#endif
