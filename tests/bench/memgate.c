/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory gates: guest/apps/mapbench runs in a machine that lets them be mapped and prints its
 * samples, by commands and mapped, of the same run; before and after come those of two mappings of
 * one file, which is what a user would have instead.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS  3u
#define SAMPLES 50u
#define SIZE    (256u << 10)
#define PAGE    4096u

#define MACHINE "--pes 2 --mapped yes -- kernel mapbench"

enum { READ, WRITE, MAPPED, MAPPED_WRITE, MAP, KINDS };
static const char *const names[KINDS] = {"memgate_read", "memgate_write", "memgate_mapped",
                                         "memgate_mapped_write", "memgate_map"};

static struct guest_case guest[KINDS];
static struct samples shared_read, shared_write, bare_exit;
static int state; /* 0: not run yet, 1: done, negative: failed */

/* 4 KiB out of, or into, memory that another process could map as well. */
static void copies(struct samples *s, uint8_t *shared, bool out)
{
    static uint8_t page[PAGE] __attribute__((aligned(4096)));

    for (unsigned i = 0; i < SAMPLES; i++) {
        double since = bench_now();

        for (unsigned k = 0; k < SIZE / PAGE * 16; k++) {
            uint8_t *at = shared + k % (SIZE / PAGE) * PAGE;

            memcpy(out ? page : at, out ? at : page, PAGE);
            __asm__ volatile("" : : "r"(page), "r"(at) : "memory");
        }
        samples_add(s, (bench_now() - since) * 1e9 / (SIZE / PAGE * 16));
    }
}

static int run_native(void)
{
    int fd = memfd_create("bench-shared", MFD_CLOEXEC);
    uint8_t *p = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, SIZE) == 0)
        p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (p == MAP_FAILED)
        return -errno;
    memset(p, 1, SIZE);
    copies(&shared_read, p, true);
    copies(&shared_write, p, false);
    munmap(p, SIZE);
    return 0;
}

static int run_bare(void)
{
    struct bare *bare = bare_open();

    for (unsigned i = 0; bare && i < 10; i++) {
        double s = bare_batch(bare);

        if (s > 0)
            samples_add(&bare_exit, s * 1e9 / 1000);
    }
    if (bare)
        bare_close(bare);
    return bare_exit.n ? 0 : -EIO;
}

static int result(unsigned kind, const struct samples *base, struct samples *v, struct samples *b,
                  double *exits, char *why, size_t size)
{
    if (state == 0) {
        state = 1;
        for (unsigned i = 0; i < ROUNDS && state > 0; i++)
            if (run_native() < 0 || run_bare() < 0 || bench_guest_free(MACHINE, guest, KINDS) < 0 ||
                run_native() < 0)
                state = -EIO;
    }
    if (state < 0) {
        snprintf(why, size, "mapbench did not run to its end: try build/sempervm run " MACHINE);
        return state;
    }
    *b = *base;
    return guest_case_result(guest, KINDS, names[kind], v, exits, why, size);
}

#define ARGS struct samples *v, struct samples *b, double *exits, char *why, size_t size

static int case_memgate_mapped(ARGS)
{
    return result(MAPPED, &shared_read, v, b, exits, why, size);
}
static int case_memgate_mapped_write(ARGS)
{
    return result(MAPPED_WRITE, &shared_write, v, b, exits, why, size);
}
static int case_memgate_read(ARGS)
{
    return result(READ, &bare_exit, v, b, exits, why, size);
}
static int case_memgate_write(ARGS)
{
    return result(WRITE, &bare_exit, v, b, exits, why, size);
}
static int case_memgate_map(ARGS)
{
    return result(MAP, &bare_exit, v, b, exits, why, size);
}

static const struct bench_case memgate_cases[] = {
    {"memgate_mapped", "4 KiB of a mapped memory gate into local memory, in the VPE", "ns",
     "4 KiB copied out of memory that two processes can map", case_memgate_mapped},
    {"memgate_mapped_write", "4 KiB of local memory into a mapped memory gate, in the VPE", "ns",
     "4 KiB copied into memory that two processes can map", case_memgate_mapped_write},
    {"memgate_read", "READ of 4 KiB, in the VPE", "ns", "a bare KVM_RUN loop taking one exit",
     case_memgate_read},
    {"memgate_write", "WRITE of 4 KiB, in the VPE", "ns", "a bare KVM_RUN loop taking one exit",
     case_memgate_write},
    {"memgate_map", "a page of a memory gate is mapped, touched, and not mapped any more", "ns",
     "a bare KVM_RUN loop taking one exit", case_memgate_map},
};
BENCH_CASES(memgate_cases)
