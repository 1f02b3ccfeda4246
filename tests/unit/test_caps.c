/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/caps.c vmm/caps_print.c */
/*
 * `sempervm caps`: what kernels tell is checked before it is used, and printed as it is.
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../include/capdump.h"
#include "../../include/kernelcalls.h"
#include "../../vmm/caps.h"

#define Q    0x101u
#define MOST 300u

static struct capdump rec[MOST];
static size_t n;
static struct caps caps;
static char err[200];

static struct capdump *add(unsigned kind, unsigned pe)
{
    rec[n] = (struct capdump){.kind = (uint8_t)kind, .pe = (uint16_t)pe};
    return &rec[n++];
}

static uint64_t key(unsigned pe, unsigned sel)
{
    return ddl_key(pe, pe, DDL_MEMCAP, 5u << 16 | sel);
}

static struct capdump *mem(unsigned pe, unsigned sel, uint64_t parent)
{
    struct capdump *r = add(CAPDUMP_CAP, pe);

    r->sel = (uint16_t)sel;
    r->type = DDL_MEMCAP;
    r->perms = 3;
    r->cap.key = key(pe, sel);
    r->cap.parent = parent;
    r->cap.addr = 0x1000;
    r->cap.size = 0x200;
    return r;
}

static void vpe(unsigned pe, const char *name)
{
    struct capdump *r = add(CAPDUMP_VPE, pe);

    r->type = CAPDUMP_RUNNING;
    memcpy(r->name, name, strlen(name));
}

static void begin(unsigned pe, unsigned id)
{
    struct capdump *r;

    n = 0;
    r = add(CAPDUMP_KERNEL, pe);
    r->n = id;
    r->cap.key = Q;
}

static int end(unsigned pe)
{
    struct capdump *r = add(CAPDUMP_END, pe);

    r->cap.key = Q;
    r->cap.size = n - 1;
    err[0] = 0;
    return caps_add(&caps, pe, Q, rec, n * sizeof(*rec), err, sizeof(err));
}

static void teardown(void)
{
    caps_free(&caps);
}

/* Two kernels: a parent in one, a child in the other that has a child of its own. */
static void two(void)
{
    begin(1, 0);
    vpe(2, "giver");
    mem(2, 10, 0);
    add(CAPDUMP_CHILD, 2)->sel = 10;
    rec[n - 1].cap.key = ddl_typed(key(7, 20), DDL_NONE); /* reserved when it was noted */
    ck_assert_int_eq(end(1), 0);
    begin(6, 1);
    vpe(7, "taker");
    mem(7, 20, key(2, 10));
    mem(7, 21, key(7, 20));
    ck_assert_int_eq(end(6), 0);
    ck_assert_int_eq(caps_link(&caps), 0);
}

static char *print(void (*fn)(const struct caps *, FILE *))
{
    static char buf[1 << 16];
    FILE *f = fmemopen(buf, sizeof(buf), "w");

    ck_assert_ptr_nonnull(f);
    fn(&caps, f);
    fclose(f);
    return buf;
}

START_TEST(text)
{
    two();
    ck_assert_str_eq(print(caps_print_text),
                     "kernel 0 on PE 1: 1 VPEs, 1 capabilities\n"
                     "  PE 2 giver, running: 1 capabilities\n"
                     "kernel 1 on PE 6: 1 VPEs, 2 capabilities\n"
                     "  PE 7 taker, running: 2 capabilities\n"
                     "\n"
                     "PE2:10 mem rw- of PE 0, 0x1000+0x200 [kernel 0, key 008010a00005000a]\n"
                     "  PE7:20 mem rw- of PE 0, 0x1000+0x200 [kernel 1, key 01c038a000050014]\n"
                     "    PE7:21 mem rw- of PE 0, 0x1000+0x200 [kernel 1, key 01c038a000050015]\n");
}
END_TEST

START_TEST(dot)
{
    char *s;

    two();
    s = print(caps_print_dot);
    ck_assert_ptr_nonnull(strstr(s, "digraph capabilities {\n"));
    ck_assert_ptr_nonnull(strstr(s, "subgraph cluster_k1 {\n    label=\"kernel 1 on PE 6\";"));
    ck_assert_ptr_nonnull(strstr(s, "  c0 -> c1 [style=dashed];\n"));
    ck_assert_ptr_nonnull(strstr(s, "  c1 -> c2;\n"));
    ck_assert_str_eq(s + strlen(s) - 2, "}\n");
}
END_TEST

/* Names come from guests. */
START_TEST(names)
{
    const char *s;

    begin(1, 0);
    vpe(2, "\"];\n\x1B[2J\xFF\\");
    mem(2, 3, 0)->type = DDL_SRVCAP;
    memcpy(rec[n - 1].service, "<|\"\\>", 5);
    ck_assert_int_eq(end(1), 0);
    ck_assert_int_eq(caps_link(&caps), 0);
    s = print(caps_print_text);
    ck_assert_ptr_nonnull(strstr(s, "PE 2 .];..[2J.., running"));
    ck_assert_ptr_nonnull(strstr(s, "service ....."));
    ck_assert_ptr_nonnull(strstr(print(caps_print_dot), "label=\"3: service .....\""));
}
END_TEST

START_TEST(strangers)
{
    const char *s;

    begin(1, 0);
    vpe(2, "a");
    mem(2, 3, key(9, 4));
    add(CAPDUMP_CHILD, 2)->sel = 3;
    rec[n - 1].cap.key = key(9, 5);
    ck_assert_int_eq(end(1), 0);
    ck_assert_int_eq(caps_link(&caps), 0);
    ck_assert_uint_eq(caps.orphans, 1);
    ck_assert_uint_eq(caps.strangers, 1);
    s = print(caps_print_text);
    ck_assert_ptr_nonnull(strstr(s, "from PE9:4, which nobody showed\n"));
    ck_assert_ptr_nonnull(strstr(s, "\n  PE9:5, which nobody showed ["));
    ck_assert_ptr_nonnull(strstr(print(caps_print_dot), "p0 -> c0 [style=dotted]"));
}
END_TEST

/* Whoever says so: parents in a circle, itself its parent, one key twice. */
START_TEST(circles)
{
    begin(1, 0);
    vpe(2, "a");
    mem(2, 3, key(2, 4));
    mem(2, 4, key(2, 3));
    mem(2, 5, key(2, 5));
    mem(2, 6, 0);
    mem(2, 6, 0);
    ck_assert_int_eq(end(1), 0);
    ck_assert_int_eq(caps_link(&caps), 0);
    ck_assert_uint_eq(caps.circles, 3);
    ck_assert_uint_eq(caps.doubles, 1);
    ck_assert_ptr_nonnull(strstr(print(caps_print_text), "3 capabilities hang on each other"));
    print(caps_print_dot);
}
END_TEST

START_TEST(long_chain)
{
    const char *s;

    begin(1, 0);
    vpe(2, "a");
    for (unsigned i = 0; i < 250; i++)
        mem(2, i, i ? key(2, i - 1) : 0);
    ck_assert_int_eq(end(1), 0);
    ck_assert_int_eq(caps_link(&caps), 0);
    s = print(caps_print_text);
    ck_assert_ptr_nonnull(strstr(s, "(249)PE2:249 "));
    ck_assert_ptr_null(strstr(s, "(24)"));
}
END_TEST

/* Each of these is refused with a line, and leaves what was there. */
static void spoil(unsigned i)
{
    struct capdump *r = &rec[3]; /* the second capability */

    switch (i) {
    case 0:
        rec[0].kind = CAPDUMP_VPE;
        break;
    case 1:
        rec[0].pe = 5;
        break;
    case 2:
        rec[0].cap.key++;
        break;
    case 3:
        rec[1].kind = CAPDUMP_CHILD;
        break;
    case 4:
        rec[1].type = 3;
        break;
    case 5:
        memset(rec[1].name, 'x', sizeof(rec[1].name));
        break;
    case 6:
        r->kind = 0;
        break;
    case 7:
        r->kind = CAPDUMP_END;
        break;
    case 8:
        r->pe = 1024;
        break;
    case 9:
        r->pe = 3;
        break;
    case 10:
        r->type = 1;
        break;
    case 11:
        r->sel++;
        break;
    case 12:
        memset(r->service, 'x', sizeof(r->service));
        break;
    case 13:
        *r = (struct capdump){.kind = CAPDUMP_CHILD, .pe = 2, .sel = 99};
        break;
    default:
        rec[1] = *r; /* before any VPE */
    }
}

START_TEST(refused)
{
    begin(1, 0);
    vpe(2, "a");
    mem(2, 3, 0);
    mem(2, 4, 0);
    spoil((unsigned)_i);
    ck_assert_int_eq(end(1), -22);
    ck_assert_ptr_nonnull(strstr(err, "the kernel on PE 1 "));
    ck_assert_ptr_null(strchr(err, '\n'));
    ck_assert_uint_eq(caps.nkernels + caps.nvpes + caps.ncaps + caps.nchildren, 0);
    two(); /* what comes behind it counts */
    ck_assert_uint_eq(caps.nkernels, 2);
}
END_TEST

START_TEST(sizes)
{
    begin(1, 0);
    vpe(2, "a");
    ck_assert_int_eq(end(1), 0);
    for (size_t len = 0; len < n * sizeof(*rec); len += 32)
        ck_assert_int_eq(caps_add(&caps, 1, Q, rec, len, err, sizeof(err)), -22);
    ck_assert_int_eq(caps_add(&caps, 1, Q + 1, rec, n * sizeof(*rec), err, sizeof(err)), -22);
    ck_assert_int_eq(caps_add(&caps, 1, Q, rec, CAPS_ANSWER_MAX + 64ull, err, sizeof(err)), -22);
    ck_assert_uint_eq(caps.nkernels, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("caps");
    TCase *t = tcase_create("caps");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, text);
    tcase_add_test(t, dot);
    tcase_add_test(t, names);
    tcase_add_test(t, strangers);
    tcase_add_test(t, circles);
    tcase_add_test(t, long_chain);
    tcase_add_loop_test(t, refused, 0, 15);
    tcase_add_test(t, sizes);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
