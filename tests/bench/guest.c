/* SPDX-License-Identifier: BSD-2-Clause */
/* Cases that a program measures inside a machine; see bench.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define LINE_MAX (1u << 16)

struct guest_case *guest_case_find(struct guest_case *list, unsigned max, const char *name)
{
    for (unsigned i = 0; i < max; i++) {
        if (!list[i].name[0])
            snprintf(list[i].name, sizeof(list[i].name), "%s", name);
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    }
    return NULL;
}

static bool parse(struct guest_case *list, unsigned max, char *line, double hz)
{
    char *name = strtok(line + strlen("BENCH "), " "), *word;
    struct guest_case *c = name ? guest_case_find(list, max, name) : NULL;

    if (!c)
        return false;
    word = strtok(NULL, " ");
    c->exits += word ? strtod(word, NULL) : 0;
    word = strtok(NULL, " ");
    c->ops += word ? strtod(word, NULL) : 0;
    while ((word = strtok(NULL, " \n")))
        samples_add(&c->s, strtod(word, NULL) * 1e9 / hz);
    return true;
}

int bench_guest(const char *args, struct guest_case *list, unsigned max)
{
    static char line[LINE_MAX];
    static double hz;
    unsigned lines = 0;
    char cmd[512];
    FILE *f;

    if (hz <= 0)
        hz = bench_tsc_hz();
    snprintf(cmd, sizeof(cmd),
             "exec build/sempervm run --timeout 300 --no-prefix %s 2>build/bench-guest.log", args);
    f = popen(cmd, "r");
    if (!f)
        return -errno;
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, "BENCH ", 6) == 0)
            lines += parse(list, max, line, hz);
    return pclose(f) == 0 && lines > 0 ? 0 : -EIO;
}

int guest_case_result(struct guest_case *list, unsigned max, const char *name, struct samples *v,
                      double *exits, char *why, size_t size)
{
    struct guest_case *c = guest_case_find(list, max, name);

    if (!c || c->s.n == 0) {
        snprintf(why, size, "the machine said nothing of %s", name);
        return -EIO;
    }
    *v = c->s;
    *exits = c->ops > 0 ? c->exits / c->ops : 0;
    return 0;
}

double bench_tsc_hz(void)
{
    double since = bench_now();
    uint64_t from = __builtin_ia32_rdtsc();

    while (bench_now() - since < 0.1)
        ;
    return (double)(__builtin_ia32_rdtsc() - from) / (bench_now() - since);
}
