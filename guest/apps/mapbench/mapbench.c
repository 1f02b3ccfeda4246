/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mapbench [ROUNDS]: the times of a memory gate by commands and mapped, for `make bench`.  Each
 * case prints one line,
 *
 *     BENCH name EXITS OPERATIONS: TICKS...
 *
 * time-stamp ticks of one operation (a batch's mean), and the exits of this PE in all batches.
 */
#include "bench_line.h"
#include "fmt.h"
#include "map_gate.h"
#include "print.h"
#include "start.h"
#include "syscall.h"

#define SIZE        (256u << 10) /* of the gate; a round touches all of it, page by page */
#define PAGES       (SIZE / MAP_PAGE)
#define SAMPLES_MAX 200u

static struct gate gate;
static struct map_gate map;
static uint8_t page[MAP_PAGE] __attribute__((aligned(MAP_PAGE)));
static uint64_t ticks[SAMPLES_MAX];
static unsigned rounds = 50;

static void want(unsigned err, const char *what)
{
    if (err)
        panic("mapbench: %s: error %u", what, err);
}

static void by_read(unsigned i)
{
    want(gate_read(&gate, page, MAP_PAGE, i % PAGES * (uint64_t)MAP_PAGE), "READ");
}
static void by_write(unsigned i)
{
    want(gate_write(&gate, page, MAP_PAGE, i % PAGES * (uint64_t)MAP_PAGE), "WRITE");
}
static void mapped_read(unsigned i)
{
    want(map_gate_read(&map, page, MAP_PAGE, i % PAGES * (uint64_t)MAP_PAGE), "mapped read");
}
static void mapped_write(unsigned i)
{
    want(map_gate_write(&map, page, MAP_PAGE, i % PAGES * (uint64_t)MAP_PAGE), "mapped write");
}

/* A page is mapped, touched and not mapped any more. */
static void map_unmap(unsigned i)
{
    struct map_gate m;

    want(map_gate_open(&m, &gate, i % PAGES * (uint64_t)MAP_PAGE, MAP_PAGE, DTU_PERM_RW), "map");
    if (!m.at)
        panic("mapbench: it cannot be mapped");
    m.at[0] = 1;
    map_gate_close(&m);
}

static void run(const char *name, void (*fn)(unsigned), unsigned batch)
{
    uint64_t before;

    for (unsigned i = 0; i < batch; i++)
        fn(i);
    before = vreg_get(VREG_EXITS);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t since = bench_ticks();

        for (unsigned k = 0; k < batch; k++)
            fn(k);
        ticks[i] = (bench_ticks() - since) / batch;
    }
    bench_line(name, "", vreg_get(VREG_EXITS) - before, rounds * batch, ticks, rounds);
}

int main(int argc, char **argv)
{
    unsigned long n = 50;

    if (argc > 2 || (argc > 1 && !fmt_parse(argv[1], &n)) || n < 10 || n > SAMPLES_MAX) {
        print("usage: mapbench [ROUNDS], 10..%u\n", SAMPLES_MAX);
        return 2;
    }
    rounds = (unsigned)n;
    gate.sel = sel_alloc(1);
    want(sysc_reqmem(gate.sel, SYSC_MEM_ANY, SIZE, DTU_PERM_RW), "memory");
    want(map_gate_open(&map, &gate, 0, SIZE, DTU_PERM_RW), "gate");
    run("memgate_read", by_read, PAGES);
    run("memgate_write", by_write, PAGES);
    if (map.at) {
        run("memgate_mapped", mapped_read, PAGES);
        run("memgate_mapped_write", mapped_write, PAGES);
        run("memgate_map", map_unmap, 10);
    } else {
        print("mapbench: nothing can be mapped here\n");
    }
    return 0;
}
