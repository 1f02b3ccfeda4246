/* SPDX-License-Identifier: BSD-2-Clause */
/* The bridge's arguments; see args.h. */
#include "args.h"

#include "str.h"

#define WORD_MAX  160u
#define DEAD_MIN  100u /* ms; the link protocol's own bound (link.c) */
#define DEAD_MAX  3600000u
#define FNV_BASIS 0xCBF29CE484222325ull
#define FNV_PRIME 0x100000001B3ull

/* A decimal number of at most max at *s, which then points behind it. */
static bool number(const char **s, unsigned max, unsigned *out)
{
    const char *p = *s;
    unsigned v = 0;

    while (*p >= '0' && *p <= '9' && v <= max)
        v = v * 10 + (unsigned)(*p++ - '0');
    if (p == *s || v > max)
        return false;
    *out = v;
    *s = p;
    return true;
}

static bool field(const char **s, unsigned max, uint16_t *out)
{
    unsigned v;

    if (!number(s, max, &v) || **s != ',')
        return false;
    ++*s;
    *out = (uint16_t)v;
    return true;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool mac(const char **s, uint8_t out[6])
{
    for (unsigned i = 0; i < 6; i++, *s += 3) {
        int high = hex((*s)[0]), low = high < 0 ? -1 : hex((*s)[1]);

        if (low < 0 || (*s)[2] != (i < 5 ? ':' : ','))
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* The text up to a comma or the end. */
static bool address(const char **s, unsigned kind, struct net_addr *out)
{
    char text[48];
    size_t n = 0;

    while ((*s)[n] && (*s)[n] != ',' && n < sizeof(text) - 1) {
        text[n] = (*s)[n];
        n++;
    }
    text[n] = 0;
    *s += n;
    return net_parse(text, out) && out->kind == kind;
}

static bool node(struct args *a, const char *s)
{
    struct args_node n = {.there = true};
    uint16_t k;

    if (!field(&s, LINK_NODES - 1, &k) || !field(&s, DTU_PES - 1, &n.first) ||
        !field(&s, DTU_PES - 1, &n.last) || !field(&s, ARGS_NO_PE, &n.memory) ||
        !field(&s, ARGS_NO_PE, &n.bridge) || !mac(&s, n.mac) || !address(&s, 4, &n.ip4))
        return false;
    if (*s == ',') {
        s++;
        if (!address(&s, 6, &n.ip6))
            return false;
    }
    if (*s || n.last < n.first || a->node[k].there)
        return false;
    a->node[k] = n;
    a->count++;
    if (k >= a->nodes)
        a->nodes = k + 1u;
    return true;
}

static void hash(struct args *a, const char *s)
{
    do {
        a->machine.nodes = (a->machine.nodes ^ (uint8_t)*s) * FNV_PRIME;
    } while (*s++);
}

/* At most eight hexadecimal digits, and nothing else. */
static bool word32(const char *s, uint32_t *out)
{
    unsigned n;

    *out = 0;
    for (n = 0; s[n] && n < 8; n++) {
        int v = hex(s[n]);

        if (v < 0)
            return false;
        *out = *out << 4 | (uint32_t)v;
    }
    return n > 0 && !s[n];
}

static bool one(struct args *a, const char *s, bool *have_self)
{
    unsigned v;

    if (strncmp(s, "self=", 5) == 0) {
        s += 5;
        *have_self = true;
        return number(&s, LINK_NODES - 1, &a->self) && *s == 0;
    }
    if (strncmp(s, "node=", 5) == 0) {
        hash(a, s);
        return node(a, s + 5);
    }
    if (strncmp(s, "lines=", 6) == 0)
        return word32(s + 6, &a->machine.lines);
    if (strncmp(s, "sizes=", 6) == 0)
        return word32(s + 6, &a->machine.sizes);
    if (strncmp(s, "mtu=", 4) == 0) {
        s += 4;
        if (!number(&s, LINK_FRAME_MAX, &v) || v < LINK_FRAME_MIN || *s)
            return false;
        a->mtu = (uint16_t)v;
        return true;
    }
    if (strncmp(s, "dead=", 5) == 0) {
        s += 5;
        return number(&s, DEAD_MAX, &a->dead_ms) && a->dead_ms >= DEAD_MIN && *s == 0;
    }
    if (strncmp(s, "boot=", 5) == 0) {
        s += 5;
        return number(&s, DEAD_MAX, &a->boot_ms) && a->boot_ms >= DEAD_MIN && *s == 0;
    }
    a->stats |= strcmp(s, "stats") == 0;
    return strcmp(s, "stats") == 0;
}

/* The words of an argument, one after the other. */
static bool words(struct args *a, const char *s, bool *have_self)
{
    char word[WORD_MAX];

    do {
        size_t n = 0;

        while (s[n] && s[n] != ' ' && n < sizeof(word) - 1) {
            word[n] = s[n];
            n++;
        }
        word[n] = 0;
        s += n;
        if ((*s && *s != ' ') || !one(a, word, have_self))
            return false;
    } while (*s++);
    return true;
}

bool args_parse(int argc, char *const *argv, struct args *out, const char **wrong)
{
    bool have_self = false;

    memset(out, 0, sizeof(*out));
    out->machine.nodes = FNV_BASIS;
    for (int i = 1; i < argc; i++) {
        *wrong = argv[i];
        if (!words(out, argv[i], &have_self))
            return false;
    }
    *wrong = "self=K, and node=K for it, are missing";
    return have_self && out->node[out->self].there;
}
