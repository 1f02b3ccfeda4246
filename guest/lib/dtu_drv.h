/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DTU driver: the registers of this PE, the commands, and waiting.  Loads cost nothing and stores
 * to any register but COMMAND are posted, but every COMMAND store is an exit; so the driver looks
 * at the endpoint registers where a command would only find out that there is nothing to do.
 *
 * Commands return an error of errors.h, 0 = done.  Lengths are in bytes, addresses are local.
 */
#ifndef GUEST_DTU_DRV_H
#define GUEST_DTU_DRV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtu.h"
#include "errors.h"
#include "vreg.h"

#define DTU_NO_REPLY 0u /* reply endpoint of a message that wants no reply */

/*
 * One 8-byte access, always a plain MOV: that is what every VMM's instruction emulation knows, and
 * no compiler can merge two of them.
 */
static inline uint64_t mmio_get(uint64_t addr)
{
    uint64_t value;

    __asm__ volatile("movq %1, %0" : "=r"(value) : "m"(*(volatile uint64_t *)addr));
    return value;
}
static inline void mmio_set(uint64_t addr, uint64_t value)
{
    __asm__ volatile("movq %1, %0" : "=m"(*(volatile uint64_t *)addr) : "r"(value));
}

/* One register at byte offset `off` of the DTU's window. */
static inline uint64_t dtu_get(unsigned off)
{
    return mmio_get(DTU_BASE + off);
}
static inline void dtu_set(unsigned off, uint64_t value)
{
    mmio_set(DTU_BASE + off, value);
}

/* Our own register page; meaningful only when vreg_present(). */
static inline uint64_t vreg_get(unsigned off)
{
    return mmio_get(VREG_BASE + off);
}
static inline void vreg_set(unsigned off, uint64_t value)
{
    mmio_set(VREG_BASE + off, value);
}
static inline bool vreg_present(void)
{
    return vreg_get(VREG_MAGIC) == VREG_MAGIC_VALUE;
}
/* Is it there, with this feature (enum vreg_feature)? */
static inline bool vreg_has(uint64_t feature)
{
    return vreg_present() && (vreg_get(VREG_FEATURES) & feature) != 0;
}

/* Payload of a received message: msg->length bytes, unaligned. */
static inline const uint8_t *dtu_payload(const struct dtu_header *msg)
{
    return (const uint8_t *)(msg + 1);
}

/* The endpoint's type now, enum dtu_ep_type; a load, no exit. */
static inline unsigned dtu_type(unsigned ep)
{
    return dtu_ep_type(dtu_get(DTU_EP(ep, 0)));
}

/*
 * Is something unread at an endpoint?  The register's count, or, when that is 0 and something came
 * by a ring, 1.  No exit.
 */
unsigned dtu_unread(unsigned ep);

/*
 * SEND through endpoint ep.  A reply goes to reply_ep of this PE and carries reply_label.
 * SE_MISS_CREDITS, SE_NO_RING_SPACE (receiver full), SE_VPE_GONE, SE_INV_ARGS (too long),
 * SE_EP_INVALID (no send gate there, e.g. revoked), SE_RECV_GONE.
 */
unsigned dtu_send(unsigned ep, const void *data, size_t len, unsigned reply_ep,
                  uint64_t reply_label);

/* REPLY to a message fetched from receive endpoint ep; frees its slot, whatever the outcome. */
unsigned dtu_reply(unsigned ep, const struct dtu_header *msg, const void *data, size_t len);

/*
 * As dtu_send(), by a program that waits for the reply next: where the message went to the VMM, all
 * of send, wait and fetch are one exit.  dtu_wait_ep() and dtu_fetch() follow as after dtu_send().
 * May return long after the message was accepted.
 */
unsigned dtu_call(unsigned ep, const void *data, size_t len, unsigned reply_ep,
                  uint64_t reply_label);
/* As dtu_reply(), by a program that waits for the next message at ep then. */
unsigned dtu_reply_wait(unsigned ep, const struct dtu_header *msg, const void *data, size_t len);

/*
 * n messages of ep that want no reply, up to 32 an exit, and those for another node under way
 * together.  Each is tried once, and `err` says what came of it: those that were accepted arrived
 * in order, but one that was refused may have been overtaken.  The result is the first error, SE_OK
 * if there is none.
 */
struct dtu_out {
    const void *data;
    size_t len;
    unsigned err;
};
unsigned dtu_send_many(unsigned ep, struct dtu_out *out, unsigned n);

/*
 * ACKs the first `done` of msgs, which came from ep, then waits for messages there and fetches up
 * to max of them, at most 16 an exit, with the ACKs in the same one.  Where none is there yet,
 * others are waited for for us microseconds (at most 65,535) after the first, until there are max.
 * While it waits, messages at other endpoints wait too: who serves several looks at those first.
 * 0 when it is no longer a receive endpoint.
 */
unsigned dtu_fetch_many(unsigned ep, const struct dtu_header **msgs, unsigned done, unsigned max,
                        unsigned us);

/* READ/WRITE len bytes at offset off of memory endpoint ep.  SE_NO_PERM, SE_INV_ARGS (bounds). */
unsigned dtu_read(unsigned ep, void *buf, size_t len, uint64_t off);
unsigned dtu_write(unsigned ep, const void *buf, size_t len, uint64_t off);

/* FETCH: address of the message, 0 for none.  For the library; programs want dtu_fetch(). */
uint64_t dtu_fetch_slot(unsigned ep);

/*
 * The endpoints, a bit each, at which dtu_fetch() may find something: for who serves many, one look
 * instead of one at each.  All bits where there are no rings.  No exit.
 */
uint32_t dtu_news(void);

/* The oldest unread message of ep or NULL; it stays in its slot until dtu_ack() or dtu_reply(). */
const struct dtu_header *dtu_fetch(unsigned ep);
/* Posted where the VMM is ours: seen by whoever looks, but MSG_CNT may lag for a message unread. */
void dtu_ack(unsigned ep, const struct dtu_header *msg);

/* Trace marker (DEBUG_MSG). */
void dtu_debug(uint32_t value);

/*
 * Sleeps until a message is unread on any endpoint, a WAKEUP came or ns nanoseconds passed
 * (VREG_WAIT_FOREVER: no limit).  Returns at once when a message is unread; may return early for
 * no reason.  On a foreign VMM there is no time limit.
 */
void dtu_wait(uint64_t ns);

/*
 * The two halves of it.  True as soon as a message is unread; looks for about a millisecond while
 * cores are to spare and messages can come without the VMM, else not at all.  And: sleeps.
 */
bool dtu_spin(void);
void dtu_sleep(uint64_t ns);

/*
 * Lets other PEs run for a moment (they may share our core), messages or not; ns is at most how
 * long, where the VMM is ours.  For retries that nobody wakes us for.
 */
void dtu_relax(uint64_t ns);

/*
 * Waits until endpoint ep has an unread message (which may be fetched already, so that dtu_fetch()
 * costs no exit); false when it is no longer a receive endpoint.
 * While messages are unread on other endpoints only, `other`, unless NULL, is called and should
 * take them: until it has, this PE does not sleep.  Without `other` they wait until we are done.
 */
bool dtu_wait_ep(unsigned ep, void (*other)(void *), void *arg);

/*
 * Sleeps until endpoint ep has an unread message, whatever is unread elsewhere, or there is another
 * reason to look: a kernel took ep or a send endpoint away, a bell.  Where the VMM has no such wait
 * this is dtu_relax(0).
 */
void dtu_wait_only(unsigned ep);

/* Own endpoints; privileged PEs only (the vDTU ignores the stores of others). */
void dtu_config_send(unsigned ep, unsigned pe, unsigned vpe, unsigned dst_ep, unsigned maxmsg,
                     unsigned credits, uint64_t label);
/* 2^(order-msgorder) slots of 2^msgorder bytes at buf; slots <= 32, slot < 64 KiB. */
void dtu_config_recv(unsigned ep, void *buf, unsigned order, unsigned msgorder);
void dtu_config_mem(unsigned ep, unsigned pe, unsigned vpe, uint64_t addr, uint64_t size,
                    unsigned perm);
void dtu_config_words(unsigned ep, const uint64_t words[3]);
/* The same for an endpoint that is configured for one command, which follows at once, and never
 * otherwise: done with that command, and only if something differs. */
void dtu_config_for_command(unsigned ep, const uint64_t words[3]);
void dtu_invalidate(unsigned ep);

#endif
