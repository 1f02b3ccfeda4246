/* SPDX-License-Identifier: BSD-2-Clause */
/* "host:port" and "[v6]:port" as socket addresses. */
#ifndef NETDEV_ADDRESS_H
#define NETDEV_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* type: SOCK_DGRAM or SOCK_STREAM.  0 or -EINVAL. */
int address_parse(const char *text, int type, struct sockaddr_storage *addr, socklen_t *len);
uint16_t address_port(const struct sockaddr_storage *addr);
/* An IPv4 address as an IPv6 socket has it (::ffff:a.b.c.d); others stay. */
void address_map(struct sockaddr_storage *addr, socklen_t *len);
bool address_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

#endif
