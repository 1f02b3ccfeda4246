/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a NIC's frames travel on outside of this process: UDP to any number of peers, sealed when
 * there is a key, or one stream (netdev's backends).  One thread receives (wire_poll, wire_receive,
 * wire_work), any other may send; what concerns both is locked inside.
 */
#ifndef VMM_WIRE_H
#define VMM_WIRE_H

#include <poll.h>
#include <stdio.h>

#include "../netdev/backend_udp.h"
#include "../netdev/seal.h"
#include "machine.h"

#define WIRE_BATCH BACKEND_UDP_BATCH

struct wire;

/* Reads the file that [link] key names; the caller wipes key.  0; -EINVAL and one line in err. */
int wire_key(const struct machine *m, uint8_t key[SEAL_KEY_BYTES], char *err, size_t errsize);

/* The wire of machine's NIC, from `listen` and the peers' `at`, or of [nic].  0; -errno and one
 * line in err; -EINVAL: the description is at fault.  Peers whose names cannot be resolved yet are
 * tried again by wire_work(). */
int wire_open(const struct machine *m, struct wire **out, char *err, size_t errsize);
/* Its descriptor stays the same, and any one thread at a time may receive. */
bool wire_is_udp(const struct wire *w);
void wire_close(struct wire *w); /* NULL is fine */

/* What to poll for; nothing: p->fd is -1.  Returns after how many ms wire_work() is due, -1: never.
 */
int wire_poll(struct wire *w, struct pollfd *p);
/* Connects, accepts, resolves: what is due.  Lines for the user through `say`. */
void wire_work(struct wire *w, void (*say)(void *arg, const char *line), void *arg);
/* Up to WIRE_BATCH frames, valid until the next call; 0: nothing waits. */
unsigned wire_receive(struct wire *w, struct backend_frame *frames);
/* What cannot be sent now is dropped and counted. */
void wire_send(struct wire *w, const struct backend_frame *frames, unsigned n);
void wire_stats(struct wire *w, FILE *out);

#endif
