/* SPDX-License-Identifier: BSD-2-Clause */
/* See address.h. */
#include "address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#define HOST_MAX 256u

int address_parse(const char *text, int type, struct sockaddr_storage *addr, socklen_t *len)
{
    struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICSERV}, *found;
    const char *colon = strrchr(text, ':');
    char host[HOST_MAX];
    size_t n;

    if (!colon || !colon[1] || (size_t)(colon - text) >= sizeof(host) || colon == text)
        return -EINVAL;
    n = (size_t)(colon - text);
    if (text[0] == '[') {
        if (n < 3 || text[n - 1] != ']')
            return -EINVAL;
        text++;
        n -= 2;
    } else if (memchr(text, ':', n)) {
        return -EINVAL; /* an IPv6 address without brackets */
    }
    memcpy(host, text, n);
    host[n] = 0;
    if (getaddrinfo(host, colon + 1, &hints, &found))
        return -EINVAL;
    memset(addr, 0, sizeof(*addr));
    memcpy(addr, found->ai_addr, found->ai_addrlen);
    *len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

uint16_t address_port(const struct sockaddr_storage *addr)
{
    if (addr->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
    return ntohs(((const struct sockaddr_in *)addr)->sin_port);
}

bool address_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

    if (a->ss_family != b->ss_family || address_port(a) != address_port(b))
        return false;
    if (a->ss_family == AF_INET6)
        return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0 &&
               (!a6->sin6_scope_id || !b6->sin6_scope_id || a6->sin6_scope_id == b6->sin6_scope_id);
    return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
}

void address_map(struct sockaddr_storage *addr, socklen_t *len)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (addr->ss_family != AF_INET)
        return;
    memcpy(&v4, addr, sizeof(v4));
    v6.sin6_port = v4.sin_port;
    v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xFF;
    memcpy(v6.sin6_addr.s6_addr + 12, &v4.sin_addr, 4);
    memcpy(addr, &v6, sizeof(v6));
    *len = sizeof(v6);
}
