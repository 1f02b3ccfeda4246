/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of channels (vmm/window.c) and of mapped gates (vmm/mapwin.c), without PEs that run:
 * what is mapped where, that channels which come and go leave nothing behind, and that a host which
 * allows no more mappings costs a channel, or a PE, and not the node.
 */
/* LINK: vmm/window.c vmm/mapwin.c */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../vdtu/ring.h"
#include "../../vmm/mapwin.h"
#include "../../vmm/node.h"
#include "../../vmm/window.h"
#include "suite.h"

#define FIRST   1u /* ids; 0 is nobody's */
#define PES     3u
#define S       FIRST
#define R       (FIRST + 1u)
#define VISIBLE 64u
#define PAGE    4096u

static struct node node;
static struct pe pes[PES];
static const struct vdtu_ring_mem *mem;
static uint8_t *window[PES];
static unsigned finished;

/* ---- the rest of the VMM, and the kernel ---- */

int ioctl(int fd, unsigned long request, ...)
{
    (void)fd;
    (void)request;
    return 0;
}

bool node_finish(struct node *n, enum node_end why, uint32_t status)
{
    (void)n;
    (void)why;
    (void)status;
    finished++;
    return true;
}

int vdtu_noc_rings(struct vdtu_noc *noc, const struct vdtu_ring_mem *m, void *arg)
{
    (void)noc;
    ck_assert_ptr_eq(arg, &node);
    mem = m;
    return 0;
}

int vdtu_ring_enable(struct vdtu *d, unsigned entries, void *table, struct ring_status *status)
{
    (void)d;
    (void)entries;
    (void)table;
    (void)status;
    return 0;
}

void vdtu_ring_disable(struct vdtu *d)
{
    (void)d;
}

/* ---- what /proc says ---- */

/* Mappings of the process; of those in the window of pe, the ones that may be of huge pages. */
static unsigned count_maps(unsigned pe, unsigned *huge)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    unsigned long from, to, base = (unsigned long)(uintptr_t)window[pe];
    bool ours = false, file = false;
    unsigned n = 0;
    char line[512];

    *huge = 0;
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2 && strchr(line, '-') < line + 17) {
            n++;
            ours =
                from >= base && from < base + RING_ENTRY0_OFF + RING_ENTRIES_MAX * RING_ENTRY_SIZE;
            file = strstr(line, "sempervm-rings") != NULL;
        } else if (ours && !file && strncmp(line, "VmFlags:", 8) == 0) {
            *huge += strstr(line, " nh") == NULL;
        }
    }
    fclose(f);
    return n;
}

/* Pages that the memfd of the channels has. */
static unsigned long shared_pages(void)
{
    char path[64], to[128] = "";
    struct stat st = {0};
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *d;

    while ((d = readdir(dir))) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", atoi(d->d_name));
        memset(to, 0, sizeof(to));
        if (readlink(path, to, sizeof(to) - 1) > 0 && strstr(to, "sempervm-rings") &&
            stat(path, &st) == 0)
            break;
    }
    closedir(dir);
    ck_assert(strstr(to, "sempervm-rings"));
    return (unsigned long)st.st_blocks * 512 / PAGE;
}

/* ---- the fixture ---- */

static uint8_t *entry_at(unsigned pe, unsigned entry)
{
    return window[pe] + RING_ENTRY0_OFF + entry * (size_t)RING_ENTRY_SIZE;
}

/* Where the window of pe is shows only in a block of it. */
static void find_window(unsigned pe)
{
    struct vdtu_ring_block b;

    ck_assert_int_eq(mem->map(&node, FIRST + pe, 0, FIRST + (pe + 1) % PES, 0, &b), 0);
    window[pe] = (uint8_t *)b.closed[0] - RING_STATE_OFF - RING_ENTRY0_OFF;
    mem->unmap(&node, FIRST + pe, 0);
    mem->unmap(&node, FIRST + (pe + 1) % PES, 0);
    mem->put(&node, &b);
}

static void setup(void)
{
    finished = 0;
    node = (struct node){.npes = PES, .pes = pes, .host_cores = 2};
    for (unsigned i = 0; i < PES; i++)
        pes[i] = (struct pe){.node = &node, .id = (uint16_t)(i + FIRST), .place = i + 1};
    ck_assert_int_eq(windows_open(&node), 0);
    for (unsigned i = 0; i < PES; i++)
        ck_assert_int_eq(window_open(&pes[i]), 0);
    for (unsigned i = 0; i < PES; i++)
        find_window(i);
}

static void teardown(void)
{
    windows_close(&node);
}

/* ---- tests ---- */

START_TEST(what_is_mapped)
{
    struct vdtu_ring_block b;
    uint8_t *s = entry_at(0, 5), *d = entry_at(1, 7);

    ck_assert_int_eq(mem->map(&node, S, 5, R, 7, &b), 0);
    s[RING_FWD_OFF] = 1;
    ck_assert_uint_eq(d[RING_FWD_OFF], 1);
    d[RING_SHARED_OFF + RING_SHARED_LEN - 1] = 2;
    ck_assert_uint_eq(s[RING_SHARED_OFF + RING_SHARED_LEN - 1], 2);
    ck_assert_uint_eq(b.shared[RING_FWD_OFF - RING_SHARED_OFF], 1);
    s[RING_PRIVATE_OFF] = s[RING_STATE_OFF] = s[RING_INBOX_OFF] = s[RING_FROZEN_OFF] = 3;
    ck_assert_uint_eq(
        d[RING_PRIVATE_OFF] | d[RING_STATE_OFF] | d[RING_INBOX_OFF] | d[RING_FROZEN_OFF], 0);
    d[RING_PRIVATE_OFF] = 4;
    ck_assert_uint_eq(s[RING_PRIVATE_OFF], 3);
    window[1][RING_STATUS_OFF] = 5; /* which the other sees */
    ck_assert_uint_eq(s[RING_PEER_OFF], 5);
    ck_assert_ptr_eq(b.frozen[0], s + RING_FROZEN_OFF);
    ck_assert_ptr_eq(b.frozen[1], d + RING_FROZEN_OFF);
    mem->unmap(&node, S, 5);
    mem->unmap(&node, R, 7);
    for (unsigned i = 0; i < RING_ENTRY_SIZE; i++)
        ck_assert_uint_eq(s[i] | d[i], 0);
    s[RING_FWD_OFF] = s[RING_PEER_OFF] = 6; /* its own now */
    ck_assert_uint_eq(d[RING_FWD_OFF] | window[1][RING_STATUS_OFF], 5);
    mem->put(&node, &b);
    ck_assert_uint_eq(b.shared[RING_FWD_OFF - RING_SHARED_OFF], 0);
    ck_assert_uint_eq(finished, 0);
}
END_TEST

/* Hundreds of channels that come and go, and PEs that begin anew, leave no page and no mapping. */
START_TEST(nothing_stays)
{
    struct vdtu_ring_block b[VISIBLE];
    unsigned maps = 0, huge;
    unsigned long pages = 0;

    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < VISIBLE; i++) {
            unsigned e = (i * 7 + round) % VISIBLE;

            ck_assert_int_eq(mem->map(&node, S, e, R, VISIBLE - 1 - e, &b[i]), 0);
            memset(b[i].shared, (int)round + 1, RING_SHARED_LEN);
            memset(entry_at(0, e) + RING_STATE_OFF, 1, RING_ENTRY_SIZE - RING_STATE_OFF);
        }
        for (unsigned i = 0; i < VISIBLE; i++) {
            unsigned e = (i * 7 + round) % VISIBLE;

            mem->unmap(&node, S, e);
            mem->unmap(&node, R, VISIBLE - 1 - e);
            mem->put(&node, &b[i]);
        }
        for (unsigned pe = 0; pe < PES && round % 5 == 4; pe++)
            mem->drop(&node, FIRST + pe);
        if (round == 4) {
            maps = count_maps(0, &huge);
            pages = shared_pages();
        }
    }
    ck_assert_uint_le(shared_pages(), pages);
    ck_assert_uint_le(count_maps(0, &huge),
                      maps + 32); /* of 1,000 channels; the heap has some, too */
    ck_assert_uint_eq(huge, 0);
    ck_assert_uint_eq(finished, 0);
}
END_TEST

#define MANY 200000u

/* Has as many mappings as the host allows; false: it allows more than Linux does by itself. */
static bool use_up(uint8_t **area)
{
    size_t i = 1;

    *area = mmap(NULL, MANY * (size_t)PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
    ck_assert(*area != MAP_FAILED);
    while (i < MANY - 1 && mprotect(*area + i * PAGE, PAGE, PROT_READ) == 0)
        i += 2;
    return i < MANY - 1;
}

/* No channel, but no harm, either. */
START_TEST(no_more_mappings)
{
    struct vdtu_ring_block b, more;
    uint8_t *area;
    bool full;
    int r;

    ck_assert_int_eq(mem->map(&node, S, 2, R, 2, &b), 0);
    full = use_up(&area);
    r = full ? mem->map(&node, S, 20, R, 20, &more) : -1;
    mem->unmap(&node, S, 2);
    mem->unmap(&node, R, 2);
    mem->put(&node, &b);
    munmap(area, MANY * (size_t)PAGE);
    ck_assert_int_lt(r, 0);
    ck_assert_uint_eq(finished, 0);
    /* The block that the refused one had is not lost. */
    ck_assert_int_eq(mem->map(&node, S, 20, R, 20, &more), 0);
    ck_assert_uint_lt(more.id, 2);
    entry_at(0, 20)[RING_FWD_OFF] = 1;
    ck_assert_uint_eq(entry_at(1, 20)[RING_FWD_OFF], 1);
}
END_TEST

/* A mapped gate is cut from the middle of two others, which are one mapping with it. */
START_TEST(cut_without_mappings)
{
    int fd = memfd_create("target", 0), r;
    struct mapwin w;
    uint8_t *area, *target;
    bool full;

    ck_assert_int_eq(ftruncate(fd, 3 * PAGE), 0);
    target = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_int_eq(mapwin_open(&w, 8 * PAGE), 0);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(mapwin_show(&w, (1 + i) * PAGE, fd, i * PAGE, PAGE, true), 0);
    w.at[2 * PAGE] = 7;
    ck_assert_uint_eq(target[PAGE], 7);
    full = use_up(&area);
    r = mapwin_cut(&w, 2 * PAGE, PAGE);
    munmap(area, MANY * (size_t)PAGE);
    ck_assert_int_eq(r, 0);
    /* Nothing of the PE's reaches it, by whatever it does now: with a host that is full it faults.
     */
    ck_assert_int_eq(mprotect(w.at, w.size, PROT_READ | PROT_WRITE), 0);
    w.at[2 * PAGE] = 9;
    ck_assert_uint_eq(target[PAGE], 7);
    w.at[PAGE] = 8;
    ck_assert_uint_eq(target[0], full ? 0 : 8);
    mapwin_close(&w);
    munmap(target, 3 * PAGE);
    close(fd);
}
END_TEST

/* However many channels are asked for, half of the mappings are left. */
START_TEST(room_for_others)
{
    FILE *f = fopen("/proc/sys/vm/max_map_count", "r");
    struct vdtu_ring_block b;
    unsigned limit = 0, n = 0, huge, maps;

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%u", &limit), 1);
    fclose(f);
    if (limit > 200000)
        return; /* more than the blocks need */
    ck_assert_uint_eq(window_want(&pes[0], RING_ENTRIES_MAX), RING_ENTRIES_MAX);
    maps = count_maps(0, &huge);
    /* Entries are few here, so the same ones again and again: only the blocks count. */
    while (mem->map(&node, S, n % VISIBLE, R, n % VISIBLE, &b) == 0)
        n++;
    ck_assert_uint_gt(n, 1000);
    ck_assert_uint_le(n * 6, limit / 2);
    ck_assert_uint_le(count_maps(0, &huge), maps + 6 * VISIBLE + 32);
    ck_assert_uint_eq(finished, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {what_is_mapped, nothing_stays, no_more_mappings,
                                  cut_without_mappings, room_for_others};

    return suite_run("window", tests, SUITE_COUNT(tests), setup, teardown, 300);
}
