/* SPDX-License-Identifier: BSD-2-Clause */
/* Transmitted frames, ours and QEMU's, packet by packet. */
#include <string.h>

#include "pair.h"

static uint32_t sum_from(const uint8_t *p, uint32_t len)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < len; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    sum = ~sum & 0xFFFF;
    return sum ? sum : 0xFFFF;
}

/* What QEMU's model leaves out, done to its frame. */
static uint32_t explain(struct pair *p, const struct packet *k, bool psp, uint8_t *f, uint32_t len)
{
    if (k->ic) {
        uint32_t sum = sum_from(f + k->ic_css, len - k->ic_css);

        f[k->ic_cso] = (uint8_t)(sum >> 8);
        f[k->ic_cso + 1] = (uint8_t)sum;
        pair_rule(p, RULE_IC);
    }
    if (k->mss && k->ipv6) {
        uint8_t *at = f + k->tag + k->ip + 4;
        uint32_t said = ((uint32_t)at[0] << 8 | at[1]) - 40;

        at[0] = (uint8_t)(said >> 8);
        at[1] = (uint8_t)said;
        pair_rule(p, RULE_TSO_IPV6);
    }
    if (psp && len < 60) {
        memset(f + len, 0, 60 - len);
        len = 60;
        pair_rule(p, RULE_PSP);
    }
    return len;
}

static void same(struct pair *p, unsigned i, const uint8_t *theirs, uint32_t len)
{
    const uint8_t *ours = p->ours.data[i];
    uint32_t at = 0;

    if (p->ours.len[i] != len) {
        pair_differ(p, "frame %u has %zu bytes, QEMU's %u", i, p->ours.len[i], len);
        return;
    }
    while (at < len && ours[at] == theirs[at])
        at++;
    if (at < len)
        pair_differ(p, "frame %u of %u bytes at %u: %02x, QEMU %02x", i, len, at, ours[at],
                    theirs[at]);
}

/* The frames of one packet, from *i of ours and *j of theirs on. */
static void compare_one(struct pair *p, const struct packet *k, bool psp, unsigned *i, unsigned *j)
{
    static uint8_t copy[70000];
    uint32_t segments = k->mss ? (k->payload + k->mss - 1) / k->mss : 1, len;

    for (uint32_t s = 0; s < segments && !p->failed; s++, ++*i, ++*j) {
        if (*i >= p->ours.count || *j >= p->theirs.count) {
            pair_differ(p, "%u frames, QEMU %u", p->ours.count, p->theirs.count);
            return;
        }
        len = (uint32_t)p->theirs.len[*j];
        memcpy(copy, p->theirs.data[*j], len);
        same(p, *i, copy, explain(p, k, psp, copy, len));
    }
    if (!k->mss || k->payload % k->mss || p->failed)
        return;
    if (*j >= p->theirs.count || p->theirs.len[*j] != k->len + k->tag) {
        pair_differ(p, "QEMU's empty segment is not there");
        return;
    }
    pair_rule(p, RULE_TSO_EMPTY);
    ++*j;
}

void frames_compare(struct pair *p, const struct packet *packets, unsigned count, bool psp)
{
    unsigned i = 0, j = 0;

    for (unsigned k = 0; k < count && !p->failed; k++)
        compare_one(p, &packets[k], psp, &i, &j);
    if (!p->failed && (i != p->ours.count || j != p->theirs.count))
        pair_differ(p, "%u frames where %u were due, QEMU %u", p->ours.count, i, p->theirs.count);
}
