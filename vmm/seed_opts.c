/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The options of a seeded run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seed.h"

#define MILLION         1000000.0
#define DEFAULT_CHANGES 3u
#define DEFAULT_HORIZON 10000u
#define MAX_CHANGES     1000u

enum { DRAW_PE = 300, DRAW_STEP };

uint64_t seed_mix(uint64_t seed, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t in[4] = {seed, a, b, c}, h = 0;
    unsigned i;

    for (i = 0; i < 4; i++) { /* splitmix64's finaliser, once per word */
        h += in[i] + 0x9E3779B97F4A7C15ull;
        h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9ull;
        h = (h ^ h >> 27) * 0x94D049BB133111EBull;
        h ^= h >> 31;
    }
    return h;
}

/* A whole number up to one of the characters in `end`, which is also where *at is left. */
static int number(const char **at, const char *end, uint64_t *out)
{
    char *stop;

    if (**at < '0' || **at > '9')
        return -EINVAL;
    errno = 0;
    *out = strtoull(*at, &stop, 0);
    if (errno || (*stop && !strchr(end, *stop)))
        return -EINVAL;
    *at = stop;
    return 0;
}

int seed_parse(struct seed_opts *o, const char *text, char *err, size_t size)
{
    const char *at = text;

    if (number(&at, "", &o->seed) < 0) {
        snprintf(err, size, "--seed: '%s' is no number; give one from 0 to 2^64-1", text);
        return -EINVAL;
    }
    o->on = true;
    return 0;
}

int seed_parse_policy(struct seed_opts *o, const char *text, char *err, size_t size)
{
    uint64_t changes = DEFAULT_CHANGES, horizon = DEFAULT_HORIZON;
    const char *at = text + 3;
    int r = 0;

    if (strcmp(text, "uniform") == 0) {
        o->policy = SEED_UNIFORM;
        return 0;
    }
    if (strcmp(text, "rr") == 0) {
        o->policy = SEED_ROBIN;
        return 0;
    }
    if (strncmp(text, "pct", 3) != 0 || (text[3] && text[3] != ':'))
        r = -EINVAL;
    if (r == 0 && *at == ':' && (at++, number(&at, ":", &changes) < 0))
        r = -EINVAL;
    if (r == 0 && *at == ':' && (at++, number(&at, "", &horizon) < 0))
        r = -EINVAL;
    if (r < 0 || changes > MAX_CHANGES || horizon == 0) {
        snprintf(err, size,
                 "--policy: '%s': want uniform, rr, pct, pct:CHANGES or "
                 "pct:CHANGES:STEPS (at most %u changes)",
                 text, MAX_CHANGES);
        return -EINVAL;
    }
    o->policy = SEED_PCT;
    o->changes = (unsigned)changes;
    o->horizon = horizon;
    return 0;
}

static const struct {
    const char *name;
    enum trace_inject kind;
} kinds[] = {
    {"refuse", TI_REFUSE}, {"delay", TI_DELAY}, {"spurious", TI_SPURIOUS}, {"crash", TI_CRASH},
    {"loss", TI_LOSS},     {"dup", TI_DUP},     {"reorder", TI_REORDER},   {"stall", TI_STALL},
    {"down", TI_DOWN},     {"up", TI_UP}};

static uint32_t *rate_of(struct seed_faults *f, enum trace_inject kind)
{
    switch (kind) {
    case TI_REFUSE:
        return &f->refuse;
    case TI_DELAY:
        return &f->delay;
    case TI_CRASH:
        return &f->crash;
    case TI_LOSS:
        return &f->loss;
    case TI_DUP:
        return &f->dup;
    case TI_REORDER:
        return &f->reorder;
    case TI_STALL:
        return &f->stall;
    case TI_DOWN:
        return &f->down;
    case TI_UP:
        return &f->up;
    default:
        return &f->spurious;
    }
}

/* PE[+PE...]@STEP[..STEP] */
static int named_fault(struct seed_faults *f, enum trace_inject kind, const char *at)
{
    uint64_t pe, step, last;
    unsigned n = 0;

    if (f->nnamed == SEED_NAMED)
        return -EINVAL;
    do {
        at += n > 0;
        if (n == SEED_ANY || number(&at, "+@", &pe) < 0 || pe > 1022)
            return -EINVAL;
        f->named[f->nnamed].pes[n++] = (uint16_t)pe;
    } while (*at == '+');
    if (*at++ != '@' || number(&at, ".", &step) < 0)
        return -EINVAL;
    last = step;
    if (*at && (strncmp(at, "..", 2) != 0 || (at += 2, number(&at, "", &last) < 0)))
        return -EINVAL;
    if (last < step || last == UINT64_MAX)
        return -EINVAL;
    f->named[f->nnamed].kind = (uint8_t)kind;
    f->named[f->nnamed].step = step;
    f->named[f->nnamed].last = last;
    f->named[f->nnamed].pe = f->named[f->nnamed].pes[0];
    f->named[f->nnamed++].npes = (uint8_t)n;
    return 0;
}

void seed_settle_faults(struct seed_opts *o)
{
    struct seed_faults *f = &o->faults;
    unsigned i;

    for (i = 0; i < f->nnamed; i++) {
        if (f->named[i].npes == 0)
            continue;
        f->named[i].pe =
            f->named[i].pes[seed_mix(o->seed, DRAW_PE, f->named[i].kind, i) % f->named[i].npes];
        f->named[i].step += seed_mix(o->seed, DRAW_STEP, f->named[i].kind, i) %
                            (f->named[i].last - f->named[i].step + 1);
        f->named[i].npes = 0;
    }
}

/* The value of "kind=": a share, or a named step. */
static int fault_value(struct seed_faults *f, enum trace_inject kind, const char *value)
{
    double rate;
    char *end;

    if (strchr(value, '@'))
        return named_fault(f, kind, value);
    rate = strtod(value, &end);
    if (end == value || *end || !(rate >= 0 && rate <= 1))
        return -EINVAL;
    *rate_of(f, kind) = (uint32_t)(rate * MILLION);
    return 0;
}

static int one_fault(struct seed_faults *f, const char *item)
{
    size_t i, n;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        n = strlen(kinds[i].name);
        if (strncmp(item, kinds[i].name, n) == 0 && item[n] == '=')
            return fault_value(f, kinds[i].kind, item + n + 1);
    }
    return -EINVAL;
}

int seed_parse_faults(struct seed_opts *o, const char *text, char *err, size_t size)
{
    char *copy = strdup(text), *item, *save = NULL;
    int r = copy ? 0 : -ENOMEM;

    for (item = copy ? strtok_r(copy, ",", &save) : NULL; item && r == 0;
         item = strtok_r(NULL, ",", &save)) {
        r = one_fault(&o->faults, item);
        if (r < 0)
            snprintf(err, size,
                     "--faults: '%s': want refuse=, delay=, spurious= or crash= and a "
                     "share from 0 to 1 or PE@STEP (or PE+PE@STEP..STEP: any of them); for nodes "
                     "loss=, dup=, reorder=, stall=, down= or up= and a share or NODE@STEP",
                     item);
    }
    free(copy);
    return r;
}
