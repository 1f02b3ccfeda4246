/* SPDX-License-Identifier: BSD-2-Clause */
/* See pcap.h.  Blocks: section header, one Ethernet interface with nanoseconds, enhanced packets.
 */
#include "pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ETHERNET      1u
#define SHB           0x0A0D0D0Au
#define IDB           1u
#define EPB           6u
#define BYTE_ORDER_ID 0x1A2B3C4Du
#define OPT_TSRESOL   9u
#define OPT_EPB_FLAGS 2u

struct pcap {
    FILE *f;
    bool failed;
};

static void put(struct pcap *p, const void *data, size_t len)
{
    /* What follows a record that is cut off could not be read. */
    if (!p->failed && len && fwrite(data, 1, len, p->f) != len)
        p->failed = true;
}

static void word(struct pcap *p, uint32_t v)
{
    put(p, &v, sizeof(v));
}

static void headers(struct pcap *p)
{
    word(p, SHB);
    word(p, 28);
    word(p, BYTE_ORDER_ID);
    word(p, 1); /* version 1.0 */
    word(p, ~0u);
    word(p, ~0u); /* length of the section: unknown */
    word(p, 28);

    word(p, IDB);
    word(p, 32);
    word(p, ETHERNET);
    word(p, 0); /* no limit */
    word(p, OPT_TSRESOL | 1u << 16);
    word(p, 9);
    word(p, 0); /* end of options */
    word(p, 32);
}

/* Non-blocking: a pipe whose reader is not there, or is slow, must not hold up who records. */
static FILE *create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");

    if (fd >= 0 && !f)
        close(fd);
    return f;
}

int pcap_open(const char *path, struct pcap **out)
{
    struct pcap *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->f = create(path);
    if (!p->f) {
        int ret = -errno;

        free(p);
        return ret;
    }
    headers(p);
    *out = p;
    return 0;
}

int pcap_frame(struct pcap *p, uint64_t time_ns, bool outbound, const void *frame, size_t len)
{
    static const uint8_t zero[4];
    uint32_t pad = (4 - len % 4) % 4, total = (uint32_t)(32 + len + pad + 12);

    if (len > UINT32_MAX / 2)
        return -EIO;
    word(p, EPB);
    word(p, total);
    word(p, 0);
    word(p, (uint32_t)(time_ns >> 32));
    word(p, (uint32_t)time_ns);
    word(p, (uint32_t)len);
    word(p, (uint32_t)len);
    put(p, frame, len);
    put(p, zero, pad);
    word(p, OPT_EPB_FLAGS | 4u << 16);
    word(p, outbound ? 2 : 1);
    word(p, 0);
    word(p, total);
    return p->failed ? -EIO : 0;
}

int pcap_close(struct pcap *p)
{
    bool failed = p->failed;

    if (fclose(p->f))
        failed = true;
    free(p);
    return failed ? -EIO : 0;
}
