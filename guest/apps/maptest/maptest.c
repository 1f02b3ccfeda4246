/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * maptest [store | hole]: mapped memory gates as a program sees them.  A second VPE maps the memory
 * that we derive for it and writes to it without end, while we revoke it; we see whether anything
 * arrives afterwards.
 *
 * With `store` the second VPE ends by a store to a mapping that it may only read, with `hole` by a
 * load from where nothing is mapped; we go on.
 */
#include "boot.h"
#include "map_gate.h"
#include "print.h"
#include "start.h"
#include "str.h"
#include "syscall.h"
#include "vpe.h"

#define SIZE   (64u << 10)
#define TRIALS 120u
#define AFTER  2000u /* stores once the mapping is dead */

/* In each VPE's own memory; the creator maps that of its child. */
static struct control {
    volatile uint64_t go;    /* the trial that shall be run, ~0: end */
    volatile uint64_t ready; /* the trial that has a mapping */
    volatile uint64_t done;  /* the trial whose mapping is dead */
    volatile uint64_t wrong; /* what was not as it should be */
} control __attribute__((aligned(MAP_PAGE)));
static uint8_t control_end[MAP_PAGE - sizeof(struct control)] __attribute__((used));

static struct vpe child;
static unsigned failed;

static void line(bool good, const char *what)
{
    print("%s %s\n", good ? "ok  " : "FAIL", what);
    failed += good ? 0 : 1;
}

static void pause_for(unsigned *spins)
{
    if (++*spins % 4096 == 0)
        dtu_relax(100000);
    else
        __builtin_ia32_pause();
}

/* ---- the one whose memory is revoked ---- */

/* Writes until the mapping is dead, and then some more; a write by the gate fails by now. */
static unsigned hammer(uint64_t trial)
{
    struct gate g = {.sel = SEL_GIVEN};
    struct map_gate m;
    unsigned wrong = 0;
    uint64_t n = trial << 32;
    volatile uint64_t *word;

    if (map_gate_open(&m, &g, 0, MAP_PAGE, DTU_PERM_RW) != SE_OK || !m.at)
        return 1;
    control.ready = trial;
    word = (volatile uint64_t *)m.at;
    while (map_gate_live(&m))
        word[1] = word[0] = ++n;
    for (unsigned i = 0; i < AFTER; i++)
        word[1] = word[0] = ++n;
    wrong += word[0] != n; /* a page that is nobody else's */
    wrong += map_gate_write(&m, &n, sizeof(n), 0) == SE_OK;
    wrong += m.at != NULL;
    gate_deactivate(&g);
    return wrong;
}

static int run_child(void *arg)
{
    uint64_t trial = 0;
    unsigned spins = 0;

    (void)arg;
    for (;;) {
        uint64_t go = control.go;

        if (go == ~0ull)
            return 0;
        if (go == trial) {
            pause_for(&spins);
            continue;
        }
        trial = go;
        control.wrong += hammer(trial);
        control.done = trial;
    }
}

/* ---- what is a fault ---- */

static int run_fault(void *arg)
{
    struct gate g = {.sel = SEL_GIVEN};
    struct map_gate m;

    if (map_gate_open(&m, &g, 0, MAP_PAGE, DTU_PERM_R) != SE_OK || !m.at)
        return 1;
    control.ready = m.at[0] + 1;
    if (arg)
        m.at[8] = 1;
    else
        control.wrong += m.at[MAP_PAGE];
    control.done = 1;
    return 1;
}

static int fault(struct gate *g, bool store)
{
    struct map_gate m;
    int code = 0;

    line(vpe_create(&child, "maptest") == SE_OK &&
             vpe_delegate(&child, g->sel, SEL_GIVEN, 1) == SE_OK &&
             vpe_run(&child, run_fault, store ? &child : NULL) == SE_OK,
         "a second VPE");
    line(vpe_wait(&child, &code) == SE_OK && code == VPE_CRASHED, "which is over");
    line(map_gate_open(&m, g, 0, MAP_PAGE, DTU_PERM_R) == SE_OK && m.at && m.at[8] == 0,
         "while others go on");
    print("maptest: %u failed\n", failed);
    return failed != 0;
}

/* ---- what is refused ---- */

static unsigned ask(uint64_t addr, uint64_t size, uint64_t off, unsigned ep, unsigned perm)
{
    struct map_request r = {addr, size, off, ep, perm};
    uint64_t v;

    __asm__ volatile("" : : "m"(r) : "memory");
    vreg_set(VREG_MAP, (uintptr_t)&r);
    v = vreg_get(VREG_MAP);
    if (MAP_RESULT_ERROR(v) == SE_OK)
        vreg_set(VREG_UNMAP, MAP_RESULT_ENTRY(v));
    return MAP_RESULT_ERROR(v);
}

/* rw and ro: endpoints of SIZE bytes. */
static void refusals(unsigned rw, unsigned ro)
{
    const uint64_t at = MAP_WINDOW_GPA + (8u << 20), end = vreg_get(VREG_MAP_WINDOW);
    const uint64_t page = MAP_PAGE;
    unsigned free_ep = ep_alloc();

    line(ask(at, page, 0, rw, DTU_PERM_RW) == SE_OK, "a page at an address of our choice");
    line(ask(at, SIZE, 0, ro, DTU_PERM_R) == SE_OK, "all of an endpoint, to be read");
    line(ask(at, page, 0, ro, DTU_PERM_RW) == SE_NO_PERM, "not with more than its permissions");
    line(ask(at, page, 0, rw, DTU_PERM_W) == SE_INV_ARGS, "not to be written only");
    line(ask(at, page, 0, free_ep, DTU_PERM_R) == SE_EP_INVALID &&
             ask(at, page, 0, 0, DTU_PERM_R) == SE_EP_INVALID &&
             ask(at, page, 0, 4000000000u, DTU_PERM_R) == SE_EP_INVALID,
         "no endpoint, a send endpoint, no such endpoint");
    line(ask(at, page / 2, 0, rw, DTU_PERM_R) == SE_INV_ARGS &&
             ask(at + 8, page, 0, rw, DTU_PERM_R) == SE_INV_ARGS &&
             ask(at, page, 8, rw, DTU_PERM_R) == SE_INV_ARGS &&
             ask(at, 0, 0, rw, DTU_PERM_R) == SE_INV_ARGS,
         "whole pages only");
    line(ask(at, SIZE + page, 0, rw, DTU_PERM_R) == SE_INV_ARGS &&
             ask(at, page, SIZE, rw, DTU_PERM_R) == SE_INV_ARGS &&
             ask(at, page, -page, rw, DTU_PERM_R) == SE_INV_ARGS,
         "not beyond the endpoint, nor around it");
    line(ask(0x100000, page, 0, rw, DTU_PERM_R) == SE_INV_ARGS &&
             ask(DTU_BASE, page, 0, rw, DTU_PERM_R) == SE_INV_ARGS &&
             ask(MAP_WINDOW_GPA + end, page, 0, rw, DTU_PERM_R) == SE_INV_ARGS &&
             ask(-page, 2 * page, 0, rw, DTU_PERM_R) == SE_INV_ARGS &&
             ask(MAP_WINDOW_GPA, -page, 0, rw, DTU_PERM_R) == SE_INV_ARGS,
         "not outside of the window");
    vreg_set(VREG_MAP, guest_mem_size() - 8);
    line(MAP_RESULT_ERROR(vreg_get(VREG_MAP)) == SE_INV_ARGS, "no request outside of our memory");
    vreg_set(VREG_MAP, MAP_WINDOW_GPA);
    line(MAP_RESULT_ERROR(vreg_get(VREG_MAP)) == SE_INV_ARGS, "nor from the window");
    ep_free(free_ep);
}

static void limits(struct gate *g)
{
    struct map_gate m[MAP_ENTRIES + 1];
    struct map_gate over;
    unsigned n = 0;

    for (unsigned i = 0; i <= MAP_ENTRIES; i++) {
        if (map_gate_open(&m[i], g, 0, MAP_PAGE, DTU_PERM_R))
            break;
        n += m[i].at != NULL;
    }
    line(n > 32 && n <= MAP_ENTRIES && !m[MAP_ENTRIES].at, "so many at a time and no more");
    line(ask((uintptr_t)m[0].at, MAP_PAGE, 0, g->ep, DTU_PERM_R) == SE_EXISTS,
         "not where something is");
    for (unsigned i = 0; i <= MAP_ENTRIES; i++)
        map_gate_close(&m[i]);
    line(map_gate_open(&over, g, 0, MAP_PAGE, DTU_PERM_R) == SE_OK && over.at, "then again");
    map_gate_close(&over);
}

/* ---- what it is for ---- */

static void both_ways(struct gate *g, struct gate *ro)
{
    uint8_t data[3 * 16], got[3 * 16] = {0};
    struct map_gate m, r;
    uint64_t exits;
    unsigned err;

    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 37 + 1);
    line(map_gate_open(&m, g, MAP_PAGE, 2 * MAP_PAGE, DTU_PERM_RW) == SE_OK && m.at,
         "two pages are mapped");
    if (!m.at)
        return;
    err = gate_write(g, data, sizeof(data), MAP_PAGE + 5);
    line(!err && memcmp((const void *)(uintptr_t)(m.at + 5), data, sizeof(data)) == 0,
         "what WRITE wrote is there");
    err = map_gate_write(&m, data, sizeof(data), 2 * MAP_PAGE - sizeof(data));
    if (!err)
        err = gate_read(g, got, sizeof(got), 3 * MAP_PAGE - sizeof(data));
    line(!err && memcmp(got, data, sizeof(data)) == 0, "what was written there READ reads");
    line(map_gate_open(&r, ro, 0, SIZE, DTU_PERM_R) == SE_OK && r.at, "again, to be read");
    exits = vreg_get(VREG_EXITS);
    for (unsigned i = 0; i < 100 && !err; i++) {
        data[0] = (uint8_t)i;
        err = map_gate_write(&m, data, sizeof(data), 64);
        if (!err)
            err = map_gate_read(&r, got, sizeof(got), MAP_PAGE + 64);
        err |= memcmp(got, data, sizeof(data)) != 0;
    }
    line(!err && vreg_get(VREG_EXITS) == exits, "one mapping shows what another wrote, no exits");
    line(map_gate_write(&r, data, 8, 0) == SE_NO_PERM &&
             map_gate_read(&m, got, 8, 2 * MAP_PAGE - 7) == SE_INV_ARGS,
         "permissions and bounds");
    gate_deactivate(ro); /* its endpoint is written */
    line(!map_gate_live(&r) && r.at[MAP_PAGE + 64] == 0, "the mapping ends with the endpoint");
    line(map_gate_read(&r, got, sizeof(got), MAP_PAGE + 64) == SE_OK && !r.at &&
             memcmp(got, data, sizeof(data)) == 0,
         "reads go on by commands");
    map_gate_close(&m);
}

static void trial(uint64_t n, struct gate *g, struct map_gate *seen, struct map_gate *ctl,
                  unsigned *late, unsigned *errors)
{
    const volatile uint64_t *word = (const volatile uint64_t *)seen->at;
    volatile struct control *c = (volatile struct control *)ctl->at;
    unsigned sel = sel_alloc(1), spins = 0;
    uint64_t was, after, by_read = 0;

    *errors += sysc_derivemem(g->sel, sel, 0, MAP_PAGE, DTU_PERM_RW) != SE_OK ||
               vpe_delegate(&child, sel, SEL_GIVEN, 1) != SE_OK;
    c->go = n;
    /* Until what it writes, the latter word last, is seen; a while longer each time. */
    while (word[1] < n << 32 && c->done != n)
        pause_for(&spins);
    for (volatile unsigned i = 0; i < n * 50; i++)
        ;
    *errors += sysc_revoke(cap_range(sel, 1), true) != SE_OK;
    was = word[1];
    while (c->done != n && map_gate_live(ctl))
        pause_for(&spins);
    after = word[1];
    *errors += gate_read(g, &by_read, sizeof(by_read), 8) != SE_OK || was >> 32 != n;
    *late += was != after || by_read != after;
    sel_free(sel, 1);
}

static void revocation(struct gate *g)
{
    struct map_gate ctl, seen;
    unsigned late = 0, errors = 0;
    uint64_t word = 0;
    int status = 1;

    if (vpe_create(&child, "maptest") || vpe_run(&child, run_child, NULL)) {
        line(false, "a second VPE");
        return;
    }
    map_gate_open(&ctl, &child.mem, (uintptr_t)&control, sizeof(control), DTU_PERM_RW);
    line(!ctl.at, "less than a page is not mapped");
    map_gate_close(&ctl);
    map_gate_open(&ctl, &child.mem, (uintptr_t)&control, MAP_PAGE, DTU_PERM_RW);
    map_gate_open(&seen, g, 0, MAP_PAGE, DTU_PERM_R);
    line(ctl.at && seen.at, "the memory of another PE is mapped");
    if (!ctl.at || !seen.at)
        return;
    for (uint64_t n = 1; n <= TRIALS; n++)
        trial(n, g, &seen, &ctl, &late, &errors);
    word = ((volatile struct control *)ctl.at)->wrong;
    print("maptest: %u trials, %u late, %u errors, %lu wrong\n", TRIALS, late, errors,
          (unsigned long)word);
    line(late == 0, "nothing arrives after revocation");
    line(errors == 0 && word == 0, "and its VPE knows");
    ((volatile struct control *)ctl.at)->go = ~0ull;
    line(vpe_wait(&child, &status) == SE_OK && status == 0, "which ends");
    vpe_destroy(&child);
    line(!map_gate_live(&ctl) && ctl.at && ctl.at[0] == 0 &&
             map_gate_read(&ctl, &word, sizeof(word), 0) != SE_OK,
         "and its memory is out of reach");
    map_gate_close(&seen);
}

int main(int argc, char **argv)
{
    struct gate g = {.sel = sel_alloc(1)}, ro = {.sel = sel_alloc(1)};
    struct map_gate m;
    unsigned err = sysc_reqmem(g.sel, SYSC_MEM_ANY, SIZE, DTU_PERM_RW);

    if (!err)
        err = sysc_derivemem(g.sel, ro.sel, 0, SIZE, DTU_PERM_R);
    if (!err)
        err = map_gate_open(&m, &ro, 0, MAP_PAGE, DTU_PERM_R);
    line(!err, "memory");
    if (err || !m.at) {
        print("maptest: nothing can be mapped here\n");
        line(!err && gate_write(&g, "by hand", 8, 0) == SE_OK &&
                 map_gate_read(&m, control_end, 8, 0) == SE_OK &&
                 memcmp(control_end, "by hand", 8) == 0,
             "reads go by commands");
        return failed != 0;
    }
    map_gate_close(&m);
    if (argc > 1)
        return fault(&g, strncmp(argv[1], "store", 6) == 0);
    gate_activate(&g);
    gate_activate(&ro);
    refusals(g.ep, ro.ep);
    limits(&g);
    both_ways(&g, &ro);
    revocation(&g);
    print("maptest: %u failed\n", failed);
    return failed != 0;
}
