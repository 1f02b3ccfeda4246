/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many PEs that speak to their kernels at once, and many that say nothing: guest/apps/fanin.
 *
 * A kernel has at most 192 VPEs, so 512 clients have four.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define ROUNDS    3u
#define PER_GROUP 128u
#define WINDOW    "4000" /* ms */
#define SPARE_PES 2u     /* of a group: the program that starts the clients, and one over */
#define LINE_MAX  (1u << 16)

/* "FANIN CLIENTS TICKS: CALLS...": adds to sum and n; lowers *least. */
static void read_counts(char *line, double *sum, unsigned *n, double *least)
{
    char *word = strchr(line, ':');

    for (word = word ? strtok(word + 1, " \n") : NULL; word; word = strtok(NULL, " \n")) {
        double calls = strtod(word, NULL);

        *sum += calls;
        *least = *n == 0 || calls < *least ? calls : *least;
        ++*n;
    }
}

/* One machine; the mean of all clients' calls, the fewest, and the clients' exits per call. */
static int together(unsigned clients, double *mean, double *least, double *exits)
{
    static char line[LINE_MAX];
    unsigned per = clients < PER_GROUP ? clients : PER_GROUP, groups = clients / per, n = 0;
    char cmd[1024];
    double sum = 0, all_exits = 0, all_calls = 0, e, c;
    int len;
    FILE *f;

    len = snprintf(cmd, sizeof(cmd),
                   "exec build/sempervm run --timeout 500 --no-prefix --pes %u -- kernel",
                   groups * (per + 1 + SPARE_PES));
    for (unsigned i = 1; i < groups; i++)
        len += snprintf(cmd + len, sizeof(cmd) - (size_t)len,
                        " kernel fanin %u 1 " WINDOW " pes=%u --", per, per + SPARE_PES);
    snprintf(cmd + len, sizeof(cmd) - (size_t)len, " fanin %u 1 " WINDOW " 2>/dev/null", per);
    f = popen(cmd, "r");
    if (!f)
        return -errno;
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, "FANIN ", 6) == 0) {
            read_counts(line, &sum, &n, least);
        } else if (sscanf(line, "FANINEXITS %lf %lf", &e, &c) == 2) {
            all_exits += e;
            all_calls += c;
        }
    if (pclose(f) != 0 || n != clients || all_calls <= 0)
        return -EIO;
    *mean = sum / n;
    *exits = all_exits / all_calls;
    return 0;
}

static int fanin(unsigned clients, unsigned rounds, struct samples *v, struct samples *b,
                 double *exits, char *why, size_t size)
{
    for (unsigned i = 0; i < rounds; i++) {
        double mean, least = 0;
        int r = together(clients, &mean, &least, exits);

        if (r < 0) {
            snprintf(why, size,
                     "not all of %u clients came to an end: try build/sempervm run "
                     "--pes %u -- kernel fanin %u 1 " WINDOW,
                     clients, 4 + (clients < 16 ? clients : 16), clients < 16 ? clients : 16);
            return r;
        }
        samples_add(v, mean);
        samples_add(b, least);
    }
    return 0;
}

static int case_fanin_1(struct samples *v, struct samples *b, double *exits, char *why, size_t size)
{
    return fanin(1, ROUNDS, v, b, exits, why, size);
}
static int case_fanin_8(struct samples *v, struct samples *b, double *exits, char *why, size_t size)
{
    return fanin(8, ROUNDS, v, b, exits, why, size);
}
static int case_fanin_64(struct samples *v, struct samples *b, double *exits, char *why,
                         size_t size)
{
    return fanin(64, ROUNDS, v, b, exits, why, size);
}
static int case_fanin_512(struct samples *v, struct samples *b, double *exits, char *why,
                          size_t size)
{
    return fanin(512, ROUNDS, v, b, exits, why, size);
}

/* ---- asleep ---- */

static int case_noop_among_sleepers(struct samples *v, struct samples *b, double *exits, char *why,
                                    size_t size)
{
    static struct guest_case alone, among;

    for (unsigned i = 0; i < ROUNDS; i++) {
        int r = bench_guest_free("--pes 3 -- kernel fanin sleep 0 100", &alone, 1);

        if (r == 0)
            r = bench_guest_free("--pes 503 -- kernel fanin sleep 170 100", &among, 1);
        if (r < 0) {
            snprintf(why, size,
                     "fanin did not come to its end: try build/sempervm run --pes 20 -- "
                     "kernel fanin sleep 10 100");
            return r;
        }
    }
    *b = alone.s;
    return guest_case_result(&among, 1, among.name, v, exits, why, size);
}

static const struct bench_case fanin_cases[] = {
    {"fanin_1",
     "calls that a client of one kernel has made in 4 s, the mean of 1; exits: "
     "of the clients, a call",
     "calls", "the slowest client of the same run", case_fanin_1},
    {"fanin_8",
     "calls that a client of one kernel has made in 4 s, the mean of 8; exits: "
     "of the clients, a call",
     "calls", "the slowest client of the same run", case_fanin_8},
    {"fanin_64",
     "calls that a client of one kernel has made in 4 s, the mean of 64; exits: "
     "of the clients, a call",
     "calls", "the slowest client of the same run", case_fanin_64},
    {"fanin_512",
     "calls that a client of four kernels has made in 4 s, the mean of 512; exits: "
     "of the clients, a call",
     "calls", "the slowest client of the same run", case_fanin_512},
    {"noop_among_sleepers",
     "NOOP, in a VPE, while 500 other PEs sleep, 170 of them with channels to the same kernel",
     "ns", "NOOP while nobody else is there", case_noop_among_sleepers},
};
BENCH_CASES(fanin_cases)
