/* SPDX-License-Identifier: BSD-2-Clause */
/* Mapped memory gates: requests, what is refused, and what ends a mapping. */
/* LINK: vdtu vmm/mapwin.c */
#include <check.h>

#include "map_fixture.h"

enum { M = 0, A = 1, B = 2, C = 3 };
enum { EP = 5, RO = 6 };

#define AT(page) (MAP_WINDOW_GPA + (page) * (uint64_t)MAP_PAGE)
#define ERR(e)   ((uint64_t)(e) << 32)

static struct mx *x;

/* A's EP: pages 2..5 of the memory PE, RW; RO: pages 1..4 of B, to be read. */
static void set_up(void)
{
    x = mx_new();
    mx_gate(x, A, EP, M, 2 * MAP_PAGE, 4 * MAP_PAGE, DTU_PERM_RW);
    mx_gate(x, A, RO, B, MAP_PAGE, 4 * MAP_PAGE, DTU_PERM_R);
    for (unsigned i = 0; i < MX_PES * MX_PAGES; i++)
        memset(x->map + i * MAP_PAGE, (int)(i + 1), MAP_PAGE);
}

static void tear_down(void)
{
    mx_free(x);
}

static uint64_t ask(unsigned page, unsigned pages, unsigned off, unsigned ep, unsigned perm)
{
    return mx_ask(x, A,
                  (struct map_request){AT(page), pages * (uint64_t)MAP_PAGE,
                                       off * (uint64_t)MAP_PAGE, ep, perm});
}

/* What the first byte of a page of A's window is; -1: an access is a fault. */
static int sees(unsigned page)
{
    uint8_t v;

    return mx_peek(x, A, page * MAP_PAGE, &v) ? v : -1;
}

static uint8_t first(unsigned pe, unsigned page)
{
    return x->pe[pe].mem[page * MAP_PAGE];
}

static struct vdtu_stats stats(unsigned pe)
{
    struct vdtu_stats st;

    vdtu_stats(x->pe[pe].d, &st);
    return st;
}

START_TEST(shows_the_target)
{
    const struct map_entry *e = mx_table(x, A)->entry;

    ck_assert_uint_eq(ask(1, 3, 1, EP, DTU_PERM_RW), 0);
    ck_assert_uint_eq(MAP_STATE(e->word), MAP_LIVE);
    ck_assert(e->addr == AT(1) && e->size == 3 * MAP_PAGE && e->offset == MAP_PAGE);
    ck_assert(e->ep == EP && e->perm == DTU_PERM_RW);
    ck_assert_int_eq(sees(0), -1);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(sees(1 + i), first(M, 3 + i));
        ck_assert(mx_poke(x, A, (1 + i) * MAP_PAGE, (uint8_t)(200 + i)));
        ck_assert_uint_eq(first(M, 3 + i), 200 + i);
        x->pe[M].mem[(3 + i) * MAP_PAGE] = (uint8_t)(100 + i);
        ck_assert_int_eq(sees(1 + i), 100 + (int)i);
    }
    ck_assert_int_eq(sees(4), -1);
    ck_assert_uint_eq(stats(A).maps, 1);
}
END_TEST

START_TEST(read_only)
{
    /* By the endpoint, and by the request. */
    ck_assert_uint_eq(ask(0, 1, 0, RO, DTU_PERM_RW), ERR(SE_NO_PERM));
    ck_assert_uint_eq(ask(0, 1, 0, RO, DTU_PERM_R), 0);
    ck_assert_uint_eq(ask(1, 1, 0, EP, DTU_PERM_R), 1);
    ck_assert_int_eq(sees(0), first(B, 1));
    ck_assert_int_eq(sees(1), first(M, 2));
    ck_assert(!mx_poke(x, A, 0, 99) && !mx_poke(x, A, MAP_PAGE, 99));
    ck_assert(first(B, 1) != 99 && first(M, 2) != 99);
    mx_gate(x, A, 7, B, 0, MAP_PAGE, DTU_PERM_W);
    ck_assert_uint_eq(ask(2, 1, 0, 7, DTU_PERM_R), ERR(SE_NO_PERM));
    ck_assert_uint_eq(ask(2, 1, 0, 7, DTU_PERM_W), ERR(SE_INV_ARGS));
    ck_assert_uint_eq(ask(2, 1, 0, EP, 0), ERR(SE_INV_ARGS));
    ck_assert_uint_eq(ask(2, 1, 0, EP, 7), ERR(SE_INV_ARGS));
    ck_assert_uint_eq(stats(A).maps_refused, 5);
}
END_TEST

static const struct {
    struct map_request r;
    unsigned err;
} refused[] = {
    {{AT(0) + 1, MAP_PAGE, 0, EP, 1}, SE_INV_ARGS},
    {{AT(0), MAP_PAGE + 8, 0, EP, 1}, SE_INV_ARGS},
    {{AT(0), MAP_PAGE, 64, EP, 1}, SE_INV_ARGS},
    {{AT(0), 0, 0, EP, 1}, SE_INV_ARGS},
    {{AT(0), 5 * MAP_PAGE, 0, EP, 1}, SE_INV_ARGS},
    {{AT(0), 2 * MAP_PAGE, 3 * MAP_PAGE, EP, 1}, SE_INV_ARGS},
    {{AT(0), MAP_PAGE, 4 * MAP_PAGE, EP, 1}, SE_INV_ARGS},
    {{AT(0), MAP_PAGE, -(uint64_t)MAP_PAGE, EP, 1}, SE_INV_ARGS},
    {{AT(0), -(uint64_t)MAP_PAGE, MAP_PAGE, EP, 1}, SE_INV_ARGS},
    {{AT(7), 2 * MAP_PAGE, 0, EP, 1}, SE_INV_ARGS},
    {{AT(8), MAP_PAGE, 0, EP, 1}, SE_INV_ARGS},
    {{AT(0) - MAP_PAGE, 2 * MAP_PAGE, 0, EP, 1}, SE_INV_ARGS},
    {{0, MAP_PAGE, 0, EP, 1}, SE_INV_ARGS},
    {{-(uint64_t)MAP_PAGE, 2 * MAP_PAGE, 0, EP, 1}, SE_INV_ARGS},
    {{AT(0), MAP_PAGE, 0, DTU_EPS, 1}, SE_EP_INVALID},
    {{AT(0), MAP_PAGE, 0, ~0u, 1}, SE_EP_INVALID},
    {{AT(0), MAP_PAGE, 0, 9, 1}, SE_EP_INVALID},  /* invalid */
    {{AT(0), MAP_PAGE, 0, 10, 1}, SE_EP_INVALID}, /* a send endpoint */
    {{AT(0), MAP_PAGE, 0, 11, 1}, SE_NOT_SUP},    /* itself */
    {{AT(0), MAP_PAGE, 0, 12, 1}, SE_NOT_SUP},    /* nobody here */
    {{AT(0), MAP_PAGE, 0, 13, 1}, SE_VPE_GONE},
    {{AT(0), MAP_PAGE, 0, 14, 1}, SE_INV_ARGS},        /* registers */
    {{AT(0), 2 * MAP_PAGE, 0, 15, 1}, SE_INV_ARGS},    /* runs past the memory */
    {{AT(0), MAP_PAGE, MAP_PAGE, 15, 1}, SE_INV_ARGS}, /* behind it */
    {{AT(0), MAP_PAGE, 0, 8, 1}, SE_INV_ARGS},         /* begins within a page */
    {{AT(0), MAP_PAGE, 1ull << 60, 7, 1}, SE_INV_ARGS},
    {{AT(0), MAP_PAGE, 2 * MAP_PAGE, 6, 1}, SE_INV_ARGS}, /* around the end of all addresses */
};

START_TEST(refusals)
{
    mx_set_ep(x, A, 10, dtu_send_r0(B, 256), dtu_send_r1(B, 2, 256), 0);
    mx_gate(x, A, 6, M, -(uint64_t)MAP_PAGE, 8 * MAP_PAGE, DTU_PERM_RW);
    mx_gate(x, A, 7, M, 0, (1ull << 61) - 1, DTU_PERM_RW);
    mx_gate(x, A, 8, M, 64, 2 * MAP_PAGE, DTU_PERM_RW);
    mx_gate(x, A, 11, A, 0, MAP_PAGE, DTU_PERM_RW);
    mx_gate(x, A, 12, 77, 0, MAP_PAGE, DTU_PERM_RW);
    mx_set_ep(x, A, 13, dtu_mem_r0(MAP_PAGE), 0, dtu_mem_r2(B, B + 1, DTU_PERM_RW));
    mx_gate(x, A, 14, B, DTU_BASE, 1ull << 20, DTU_PERM_RW);
    mx_gate(x, A, 15, B, MX_MEM - MAP_PAGE, 1ull << 40, DTU_PERM_RW);
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        uint64_t v = mx_ask(x, A, refused[i].r);

        ck_assert_msg(v == ERR(refused[i].err), "request %u: error %u", i, MAP_RESULT_ERROR(v));
    }
    ck_assert_uint_eq(x->shows, 0);
    ck_assert_uint_eq(stats(A).maps_refused, sizeof(refused) / sizeof(refused[0]));
    /* What begins within a page has whole ones behind. */
    ck_assert_uint_eq(mx_ask(x, A, (struct map_request){AT(0), MAP_PAGE, MAP_PAGE - 64, 8, 1}), 0);
    ck_assert_int_eq(sees(0), first(M, 1));
}
END_TEST

START_TEST(refused_addresses)
{
    const uint64_t at[] = {1,        MX_SCRATCH + 4, MX_MEM,       MX_MEM - 24,
                           DTU_BASE, MAP_WINDOW_GPA, -(uint64_t)8, -(uint64_t)32};

    for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++)
        ck_assert_uint_eq(vdtu_map_request(x->pe[A].d, at[i]), ERR(SE_INV_ARGS));
}
END_TEST

START_TEST(overlaps)
{
    ck_assert_uint_eq(ask(2, 2, 0, EP, DTU_PERM_R), 0);
    ck_assert_uint_eq(ask(2, 2, 0, EP, DTU_PERM_R), ERR(SE_EXISTS));
    ck_assert_uint_eq(ask(1, 2, 0, EP, DTU_PERM_R), ERR(SE_EXISTS));
    ck_assert_uint_eq(ask(3, 2, 0, EP, DTU_PERM_R), ERR(SE_EXISTS));
    ck_assert_uint_eq(ask(0, 4, 0, EP, DTU_PERM_R), ERR(SE_EXISTS));
    ck_assert_uint_eq(ask(0, 2, 0, EP, DTU_PERM_R), 1);
    ck_assert_uint_eq(ask(4, 1, 0, EP, DTU_PERM_R), 2);
    /* What is dead is in the way, too, until it is closed. */
    mx_revoke(x, A, EP);
    ck_assert_uint_eq(mx_state(x, A, 0), MAP_DEAD);
    ck_assert_uint_eq(ask(2, 1, 0, RO, DTU_PERM_R), ERR(SE_EXISTS));
    vdtu_map_close(x->pe[A].d, 0);
    ck_assert_int_eq(sees(2), -1);
    ck_assert_uint_eq(ask(2, 1, 0, RO, DTU_PERM_R), 0);
    ck_assert_int_eq(sees(2), first(B, 1));
    vdtu_map_close(x->pe[A].d, 0);
    vdtu_map_close(x->pe[A].d, 0);
    vdtu_map_close(x->pe[A].d, MAP_ENTRIES);
    vdtu_map_close(x->pe[A].d, ~0ull);
    ck_assert_int_eq(sees(2), -1);
}
END_TEST

START_TEST(no_memory)
{
    x->full = true;
    ck_assert_uint_eq(ask(0, 1, 0, EP, DTU_PERM_R), ERR(SE_OUT_OF_MEM));
    ck_assert_uint_eq(mx_state(x, A, 0), MAP_FREE);
    x->full = false;
    ck_assert_uint_eq(ask(0, 1, 0, EP, DTU_PERM_R), 0);
}
END_TEST

START_TEST(entries)
{
    vdtu_map_disable(x->pe[A].d);
    mapwin_close(&x->pe[A].win);
    ck_assert_int_eq(mapwin_open(&x->pe[A].win, 100 * MAP_PAGE), 0);
    ck_assert_int_eq(vdtu_map_enable(x->pe[A].d, 100 * MAP_PAGE, mx_table(x, A)), 0);
    for (unsigned i = 0; i < MAP_ENTRIES; i++)
        ck_assert_uint_eq(ask(i, 1, i % 4, EP, DTU_PERM_RW), i);
    ck_assert_uint_eq(ask(90, 1, 0, EP, DTU_PERM_RW), ERR(SE_NO_SPACE));
    vdtu_map_close(x->pe[A].d, 17);
    ck_assert_uint_eq(ask(90, 1, 1, EP, DTU_PERM_RW), 17);
    mx_revoke(x, A, EP);
    ck_assert_uint_eq(stats(A).maps_revoked, MAP_ENTRIES);
    ck_assert_uint_eq(x->cuts, MAP_ENTRIES);
}
END_TEST

/* ---- what ends a mapping ---- */

/* Entry 0 at page 0 shows page 2 of M, 1 at page 1 page 1 of B; 2 at page 2 B's page, for C. */
static void three(void)
{
    ck_assert_uint_eq(ask(0, 1, 0, EP, DTU_PERM_RW), 0);
    ck_assert_uint_eq(ask(1, 1, 0, RO, DTU_PERM_R), 1);
    mx_gate(x, C, EP, B, MAP_PAGE, MAP_PAGE, DTU_PERM_RW);
    ck_assert_uint_eq(mx_ask(x, C, (struct map_request){AT(0), MAP_PAGE, 0, EP, DTU_PERM_RW}), 0);
}

static void want_dead(unsigned pe, unsigned entry, unsigned target, unsigned page)
{
    uint8_t was = first(target, page), v = 1;

    ck_assert_uint_eq(mx_state(x, pe, entry), MAP_DEAD);
    ck_assert(mx_peek(x, pe, entry * MAP_PAGE, &v) && v == 0);
    ck_assert(mx_poke(x, pe, entry * MAP_PAGE, 77) && mx_peek(x, pe, entry * MAP_PAGE, &v));
    ck_assert(v == 77 && first(target, page) == was);
}

START_TEST(endpoint_is_written)
{
    const unsigned word = (unsigned)_i;
    uint64_t same = vdtu_reg(x->pe[A].d, DTU_EP(EP, word));

    three();
    mx_write_reg(x, A, DTU_EP(EP, word), &same, 1);
    want_dead(A, 0, M, 2);
    ck_assert_uint_eq(mx_state(x, A, 1), MAP_LIVE);
    ck_assert_uint_eq(mx_state(x, C, 0), MAP_LIVE);
    ck_assert_uint_eq(stats(A).maps_revoked, 1);
}
END_TEST

START_TEST(own_store)
{
    three();
    vdtu_store(x->pe[A].d, DTU_EP(RO, 2), 0, 8);
    want_dead(A, 1, B, 1);
    ck_assert_uint_eq(mx_state(x, A, 0), MAP_LIVE);
}
END_TEST

START_TEST(target_vpe_changes)
{
    three();
    mx_vpe(x, B, 9);
    want_dead(A, 1, B, 1);
    want_dead(C, 0, B, 1);
    ck_assert_uint_eq(mx_state(x, A, 0), MAP_LIVE);
    vdtu_map_close(x->pe[A].d, 1);
    ck_assert_uint_eq(ask(1, 1, 0, RO, DTU_PERM_R), ERR(SE_VPE_GONE));
}
END_TEST

START_TEST(owner_vpe_changes)
{
    three();
    mx_vpe(x, A, 9);
    want_dead(A, 0, M, 2);
    want_dead(A, 1, B, 1);
    ck_assert_uint_eq(mx_state(x, C, 0), MAP_LIVE);
}
END_TEST

START_TEST(owner_is_reset)
{
    three();
    vdtu_reset_cpu(x->pe[A].d, NULL);
    ck_assert_int_eq(sees(0), -1);
    ck_assert_int_eq(sees(1), -1);
    ck_assert_uint_eq(mx_state(x, A, 0), MAP_FREE);
    ck_assert_uint_eq(mx_table(x, A)->window, 0);
    ck_assert_uint_eq(ask(0, 1, 0, EP, DTU_PERM_R), ERR(SE_NOT_SUP));
    ck_assert_uint_eq(mx_state(x, C, 0), MAP_LIVE);
    ck_assert_int_eq(vdtu_map_enable(x->pe[A].d, MX_WIN, mx_table(x, A)), 0);
    ck_assert_uint_eq(ask(0, 1, 0, EP, DTU_PERM_R), 0);
}
END_TEST

static bool wiped_while_shown;

static void wipe(void *arg)
{
    (void)arg;
    wiped_while_shown = mx_state(x, A, 1) == MAP_LIVE || mx_state(x, C, 0) == MAP_LIVE;
}

START_TEST(target_is_reset)
{
    three();
    vdtu_reset_cpu(x->pe[B].d, wipe);
    ck_assert(!wiped_while_shown);
    want_dead(A, 1, B, 1);
    want_dead(C, 0, B, 1);
    ck_assert_uint_eq(mx_state(x, A, 0), MAP_LIVE);
}
END_TEST

START_TEST(window_anew)
{
    three();
    ck_assert_int_eq(vdtu_map_enable(x->pe[A].d, 2 * MAP_PAGE, mx_table(x, A)), 0);
    ck_assert_int_eq(sees(0), -1);
    ck_assert_uint_eq(ask(1, 2, 0, EP, DTU_PERM_R), ERR(SE_INV_ARGS));
    ck_assert_uint_eq(ask(0, 3, 0, EP, DTU_PERM_R), ERR(SE_INV_ARGS)); /* more than all of it */
    ck_assert_uint_eq(ask(0, 2, 0, EP, DTU_PERM_R), 0);
    ck_assert_int_eq(vdtu_map_enable(x->pe[A].d, 0, mx_table(x, A)), -22);
    ck_assert_int_eq(vdtu_map_enable(x->pe[A].d, MAP_PAGE + 1, mx_table(x, A)), -22);
    ck_assert_int_eq(vdtu_map_enable(x->pe[A].d, MAP_WINDOW_MAX * 2, mx_table(x, A)), -22);
}
END_TEST

/* A mapping is alive with a word that no later one has. */
START_TEST(generations)
{
    uint64_t word;

    ask(0, 1, 0, EP, DTU_PERM_R);
    word = mx_table(x, A)->entry[0].word;
    vdtu_map_close(x->pe[A].d, 0);
    ck_assert_uint_ne(mx_table(x, A)->entry[0].word, word);
    ask(0, 1, 0, EP, DTU_PERM_R);
    ck_assert_uint_eq(MAP_STATE(mx_table(x, A)->entry[0].word), MAP_LIVE);
    ck_assert_uint_ne(mx_table(x, A)->entry[0].word, word);
}
END_TEST

/* A NoC without mappings: registers do nothing. */
START_TEST(none)
{
    struct vdtu_noc *noc = vdtu_noc_new();
    static uint64_t regs[512];
    static uint8_t mem[4096];
    struct vdtu_config c = {.pe = 1, .mem = mem, .mem_size = sizeof(mem), .regs = regs};
    struct vdtu *d;

    ck_assert_int_eq(vdtu_new(noc, &c, &d), 0);
    ck_assert_uint_eq(vdtu_map_request(d, 0), ERR(SE_NOT_SUP));
    ck_assert_int_eq(vdtu_map_enable(d, MAP_PAGE, mx_table(x, A)), -22);
    vdtu_map_close(d, 0);
    vdtu_map_disable(d);
    vdtu_free(d);
    vdtu_noc_free(noc);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("map");
    Suite *s = suite_create("map");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, shows_the_target);
    tcase_add_test(tc, read_only);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, refused_addresses);
    tcase_add_test(tc, overlaps);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, entries);
    tcase_add_loop_test(tc, endpoint_is_written, 0, 3);
    tcase_add_test(tc, own_store);
    tcase_add_test(tc, target_vpe_changes);
    tcase_add_test(tc, owner_vpe_changes);
    tcase_add_test(tc, owner_is_reset);
    tcase_add_test(tc, target_is_reset);
    tcase_add_test(tc, window_anew);
    tcase_add_test(tc, generations);
    tcase_add_test(tc, none);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
