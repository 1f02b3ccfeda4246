/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames from a neighbour (`them`) to the bridge (`us`), byte by byte, with checksums of the test's
 * own.
 */
#ifndef TESTS_NET_FRAMES_H
#define TESTS_NET_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ETH     14u
#define IP4     (ETH + 20u)
#define IP6     (ETH + 40u)
#define OUR_IP4 "10.83.0.1"
#define OUR_IP6 "fd00::1"

static const uint8_t us[6] = {0x52, 0x54, 0, 0, 0, 1}, them[6] = {0x52, 0x54, 0, 0, 0, 2};
static const uint8_t us4[4] = {10, 83, 0, 1}, them4[4] = {10, 83, 0, 2};
static const uint8_t us6[16] = {0xFD, [15] = 1}, them6[16] = {0xFD, [15] = 2};

static inline void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static inline uint32_t sum(uint32_t s, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        s += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    return s;
}

static inline unsigned fold(uint32_t s)
{
    while (s >> 16)
        s = (s & 0xFFFF) + (s >> 16);
    return ~s & 0xFFFF;
}

static inline void eth(uint8_t *f, unsigned type)
{
    memcpy(f, us, 6);
    memcpy(f + 6, them, 6);
    put16(f + 12, type);
}

/* An IPv4 packet whose payload lies at f + IP4; offset in bytes, a multiple of 8. */
static inline void ip4(uint8_t *f, unsigned proto, size_t len, unsigned id, unsigned offset,
                       bool more)
{
    uint8_t *h = f + ETH;

    eth(f, 0x0800);
    memset(h, 0, 20);
    h[0] = 0x45;
    put16(h + 2, (unsigned)len + 20);
    put16(h + 4, id);
    put16(h + 6, offset / 8 | (more ? 0x2000u : 0));
    h[8] = 64;
    h[9] = (uint8_t)proto;
    memcpy(h + 12, them4, 4);
    memcpy(h + 16, us4, 4);
    put16(h + 10, fold(sum(0, h, 20)));
}

static inline void ip6(uint8_t *f, unsigned next, size_t len)
{
    uint8_t *h = f + ETH;

    eth(f, 0x86DD);
    memset(h, 0, 8);
    h[0] = 0x60;
    put16(h + 4, (unsigned)len);
    h[6] = (uint8_t)next;
    h[7] = 255;
    memcpy(h + 8, them6, 16);
    memcpy(h + 24, us6, 16);
}

/* Checksum of an upper layer over IPv6 or, for UDP, IPv4: addresses, length, protocol, payload. */
static inline unsigned upper(const uint8_t *addresses, size_t addr_len, unsigned proto,
                             const uint8_t *p, size_t len)
{
    return fold(sum((uint32_t)len + proto, p, len) + sum(0, addresses, addr_len));
}

static inline void udp(uint8_t *u, size_t len, unsigned from, unsigned to)
{
    put16(u, from);
    put16(u + 2, to);
    put16(u + 4, (unsigned)len);
    put16(u + 6, 0);
}

static inline void udp4_frame(uint8_t *f, size_t payload, unsigned from, unsigned to)
{
    uint8_t *u = f + IP4;

    ip4(f, 17, payload + 8, 1, 0, false);
    udp(u, payload + 8, from, to);
    put16(u + 6, upper(f + ETH + 12, 8, 17, u, payload + 8));
}

static inline void pattern(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(i * 13 + (i >> 8));
}

static inline void arp(uint8_t *f, unsigned op, const uint8_t target[4])
{
    memset(f, 0, 60);
    eth(f, 0x0806);
    memset(f, 0xFF, 6);
    memcpy(f + 14, "\0\1\x08\0\6\4", 6);
    put16(f + 20, op);
    memcpy(f + 22, them, 6);
    memcpy(f + 28, them4, 4);
    memcpy(f + 38, target, 4);
}

/* A neighbour solicitation for our address. */
static inline void solicit(uint8_t *f)
{
    uint8_t *m = f + IP6;

    ip6(f, 58, 32);
    memcpy(f, "\x33\x33\xFF\0\0\1", 6);
    memcpy(f + ETH + 24, "\xFF\2\0\0\0\0\0\0\0\0\0\1\xFF\0\0\1", 16);
    memset(m, 0, 32);
    m[0] = 135;
    memcpy(m + 8, us6, 16);
    m[24] = 1;
    m[25] = 1;
    memcpy(m + 26, them, 6);
    put16(m + 2, upper(f + ETH + 8, 32, 58, m, 32));
}

#endif
