/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames into a pcapng file.  One writer; the caller says what time it is. */
#ifndef NETDEV_PCAP_H
#define NETDEV_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pcap;

/* 0 or -errno.  An existing file is replaced; -ENXIO: a pipe that nobody reads. */
int pcap_open(const char *path, struct pcap **out);
/* time_ns: since 1970.  outbound: from our guest.  0 or -EIO; after a record that failed there are
 * no others.
 */
int pcap_frame(struct pcap *p, uint64_t time_ns, bool outbound, const void *frame, size_t len);
/* 0, or -EIO when anything got lost. */
int pcap_close(struct pcap *p);

#endif
