/* SPDX-License-Identifier: BSD-2-Clause */
/* Which frames are for us: VLAN table, promiscuous modes, broadcast, 16 addresses, hash table. */
#include <string.h>

#include "internal.h"

static bool vlan_wanted(const struct netdev *n, const uint8_t *frame)
{
    uint32_t id = get16be(frame + 14) & 0xFFF;

    return MAC(n, E_VFTA + id / 32 * 4) >> id % 32 & 1;
}

static bool exact(const struct netdev *n, const uint8_t *dst)
{
    uint32_t low = get32le(dst), high = get16le(dst + 4);

    for (uint32_t at = E_RA; at < E_RA + 16 * 8; at += 8)
        if ((MAC(n, at + 4) & RAH_AV) && MAC(n, at) == low && (MAC(n, at + 4) & 0xFFFF) == high)
            return true;
    return false;
}

static bool hashed(const struct netdev *n, const uint8_t *dst)
{
    static const uint8_t shift[] = {4, 3, 2, 0};
    uint32_t f = get16le(dst + 4) >> shift[MAC(n, E_RCTL) >> RCTL_MO_SHIFT & 3] & 0xFFF;

    return MAC(n, E_MTA + f / 32 * 4) >> f % 32 & 1;
}

/* frame has at least ETH_MIN bytes. */
bool nd_filter(struct netdev *n, const uint8_t *frame, bool tagged)
{
    static const uint8_t all[6] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uint32_t rctl = MAC(n, E_RCTL);
    bool broadcast = memcmp(frame, all, 6) == 0, multicast = frame[0] & 1;

    if (tagged && (rctl & RCTL_VFE) && !vlan_wanted(n, frame))
        return false;
    if (!multicast && (rctl & RCTL_UPE))
        return true;
    if (multicast && (rctl & RCTL_MPE))
        return true;
    if (broadcast && (rctl & RCTL_BAM))
        return true;
    return exact(n, frame) || (multicast && hashed(n, frame));
}
