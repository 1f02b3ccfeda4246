/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive checksum offload (RXCSUM): the checksum of all from PCSS on, and the verdict on IPv4, TCP
 * and UDP checksums.  Lengths come from the wire; each is compared with the frame first.  What is
 * not checked is left with IXSM ("ignore"): fragments beyond IP, UDP without a checksum, IPv6
 * extension headers, LLC/SNAP.
 */
#include "internal.h"

#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86DDu
#define PROTO_TCP 6u
#define PROTO_UDP 17u

/* TCP or UDP at p, len bytes, after a pseudo header that sums up to `sum`. */
static void transport(const uint8_t *p, uint32_t len, uint32_t proto, uint32_t sum,
                      struct rx_sums *r)
{
    uint32_t least = proto == PROTO_TCP ? 20 : 8;

    if ((proto != PROTO_TCP && proto != PROTO_UDP) || len < least)
        return;
    if (proto == PROTO_UDP) {
        if (get16be(p + 6) == 0 || get16be(p + 4) < 8 || get16be(p + 4) > len)
            return;
        len = get16be(p + 4);
    }
    r->status |= RXD_TCPCS;
    if (nd_fold(nd_sum16(p, len) + sum + proto + len) != 0xFFFF)
        r->errors |= RXD_TCPE;
}

static void ipv4(const uint8_t *p, uint32_t len, uint32_t rxcsum, struct rx_sums *r)
{
    uint32_t head, total;

    if (len < 20 || p[0] >> 4 != 4)
        return;
    head = (p[0] & 15) * 4u;
    total = get16be(p + 2);
    if (head < 20 || total < head || total > len)
        return;
    if (rxcsum & RXCSUM_IPOFL) {
        r->status |= RXD_IPCS;
        if (nd_fold(nd_sum16(p, head)) != 0xFFFF)
            r->errors |= RXD_IPE;
    }
    if ((rxcsum & RXCSUM_TUOFL) && !(get16be(p + 6) & 0x3FFF))
        transport(p + head, total - head, p[9], nd_sum16(p + 12, 8), r);
}

static void ipv6(const uint8_t *p, uint32_t len, uint32_t rxcsum, struct rx_sums *r)
{
    if (len < 40 || p[0] >> 4 != 6 || get16be(p + 4) > len - 40)
        return;
    if (rxcsum & RXCSUM_TUOFL)
        transport(p + 40, get16be(p + 4), p[6], nd_sum16(p + 8, 32), r);
}

/* frame: at least 60 bytes, without FCS, a tag stripped if it was to be. */
struct rx_sums nd_rx_sums(const struct netdev *n, const uint8_t *frame, uint32_t len)
{
    uint32_t rxcsum = MAC(n, E_RXCSUM), start = rxcsum & RXCSUM_PCSS, at = 12, type;
    struct rx_sums r = {0};

    if (start < len)
        r.packet = (uint16_t)nd_fold(nd_sum16(frame + start, len - start));
    if (get16be(frame + at) == MAC(n, E_VET))
        at += 4;
    type = get16be(frame + at);
    at += 2;
    if (type == TYPE_IPV4)
        ipv4(frame + at, len - at, rxcsum, &r);
    else if (type == TYPE_IPV6)
        ipv6(frame + at, len - at, rxcsum, &r);
    if (!r.status)
        r.status = RXD_IXSM;
    return r;
}
