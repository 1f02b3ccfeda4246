/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupt controllers of a bare PE, as a driver and a device see them.
 */
/* LINK: vmm/pic.c */
#include "../../vmm/pic.h"

#include <check.h>
#include <stdlib.h>

static struct pic p;

/* Vectors 20h-2Fh, nothing masked; inputs 3 to 7, 9 to 12, 14, 15 level-triggered if so. */
static void start(uint8_t icw4, bool level)
{
    static const uint16_t port[2] = {0x20, 0xA0};

    pic_reset(&p);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(pic_write(&p, port[i], 0x11));
        ck_assert(pic_write(&p, port[i] + 1, (uint8_t)(0x20 + 8 * i)));
        ck_assert(pic_write(&p, port[i] + 1, i ? 2 : 4));
        ck_assert(pic_write(&p, port[i] + 1, icw4));
        ck_assert(pic_write(&p, (uint16_t)(0x4D0 + i), level ? 0xFF : 0));
    }
}

static uint8_t in(uint16_t port)
{
    uint8_t v = 0;

    ck_assert(pic_read(&p, port, &v));
    return v;
}

static void up(unsigned irq)
{
    pic_line(&p, irq, true, false);
}

static void down(unsigned irq)
{
    pic_line(&p, irq, false, false);
}

START_TEST(level)
{
    start(1, true);
    up(11);
    ck_assert(pic_output(&p));
    ck_assert_uint_eq(pic_acknowledge(&p), 0x2B);
    ck_assert(!pic_output(&p)); /* in service */
    pic_write(&p, 0xA0, 0x20);
    pic_write(&p, 0x20, 0x20);
    ck_assert(pic_output(&p)); /* the line is up still */
    ck_assert_uint_eq(pic_acknowledge(&p), 0x2B);
    down(11);
    pic_write(&p, 0xA0, 0x20);
    pic_write(&p, 0x20, 0x20);
    ck_assert(!pic_output(&p));
    up(11);
    down(11); /* gone before anybody took it */
    ck_assert(!pic_output(&p));
    pic_line(&p, 11, false, true);
    ck_assert(!pic_output(&p)); /* a rise alone is nothing to it */
}
END_TEST

START_TEST(edge)
{
    start(1, false);
    up(5);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x25);
    pic_write(&p, 0x20, 0x20);
    ck_assert(!pic_output(&p)); /* up, but it has not risen again */
    up(5);
    ck_assert(!pic_output(&p));
    down(5);
    up(5);
    down(5);
    ck_assert(pic_output(&p)); /* kept */
    ck_assert_uint_eq(pic_acknowledge(&p), 0x25);
    pic_write(&p, 0x20, 0x20);
    pic_line(&p, 5, true, false);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x25);
    pic_write(&p, 0x20, 0x20);
    pic_line(&p, 5, true, true); /* down and up between two looks */
    ck_assert(pic_output(&p));
}
END_TEST

/* Each input alone, through both controllers: vector, ISR, IRR, mask. */
START_TEST(inputs)
{
    for (unsigned i = 0; i < PIC_INPUTS; i++) {
        uint16_t port = i < 8 ? 0x20 : 0xA0;
        uint8_t bit = (uint8_t)(1u << i % 8);

        if (i == 2)
            continue;
        start(1, true);
        up(i);
        pic_write(&p, port, 0x0A);
        ck_assert_uint_eq(in(port), bit);
        pic_write(&p, (uint16_t)(port + 1), bit);
        ck_assert_uint_eq(in((uint16_t)(port + 1)), bit);
        ck_assert(!pic_output(&p));
        ck_assert_uint_eq(in(port), bit); /* requested all the same */
        pic_write(&p, (uint16_t)(port + 1), 0);
        ck_assert_uint_eq(pic_acknowledge(&p), 0x20 + i);
        pic_write(&p, port, 0x0B);
        ck_assert_uint_eq(in(port), bit);
        if (i >= 8) {
            pic_write(&p, 0x20, 0x0B);
            ck_assert_uint_eq(in(0x20), 4);
        }
    }
}
END_TEST

START_TEST(priorities)
{
    start(1, true);
    up(5);
    up(3);
    up(9);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x29); /* through input 2 */
    ck_assert(!pic_output(&p));
    down(9);
    pic_write(&p, 0xA0, 0x20);
    pic_write(&p, 0x20, 0x20);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x23);
    down(3);
    up(1); /* better than what is in service */
    ck_assert_uint_eq(pic_acknowledge(&p), 0x21);
    down(1);
    pic_write(&p, 0x20, 0x63); /* the end of input 3's, by name */
    pic_write(&p, 0x20, 0x0B);
    ck_assert_uint_eq(in(0x20), 0x02);
    pic_write(&p, 0x20, 0x20);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x25);
}
END_TEST

START_TEST(rotation)
{
    start(1, true);
    up(4);
    up(5);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x24);
    pic_write(&p, 0x20, 0xA0); /* end, and input 4 is last now */
    ck_assert_uint_eq(pic_acknowledge(&p), 0x25);
    pic_write(&p, 0x20, 0xE5);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x24);
    pic_write(&p, 0x20, 0x20);
    pic_write(&p, 0x20, 0xC4); /* set: 4 last, 5 first */
    ck_assert_uint_eq(pic_acknowledge(&p), 0x25);
    start(3, true); /* ends by itself */
    pic_write(&p, 0x20, 0x80);
    up(4);
    up(5);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x24);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x25);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x24);
    pic_write(&p, 0x20, 0x00);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x25);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x25);
}
END_TEST

START_TEST(special_mask)
{
    start(1, true);
    up(4);
    up(6);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x24);
    ck_assert(!pic_output(&p));
    pic_write(&p, 0x21, 0x10);
    ck_assert(!pic_output(&p));
    pic_write(&p, 0x20, 0x68); /* what is masked holds up nobody */
    ck_assert_uint_eq(pic_acknowledge(&p), 0x26);
    pic_write(&p, 0x20, 0x48);
    ck_assert(!pic_output(&p));
}
END_TEST

START_TEST(spurious_and_poll)
{
    start(1, true);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x27);
    pic_write(&p, 0x20, 0x0B);
    ck_assert_uint_eq(in(0x20), 0); /* nothing is in service by it */
    pic_write(&p, 0x20, 0x0C);
    ck_assert_uint_eq(in(0x20), 0);
    up(6);
    pic_write(&p, 0x20, 0x0C);
    ck_assert_uint_eq(in(0x20), 0x86);
    pic_write(&p, 0x20, 0x0B);
    ck_assert_uint_eq(in(0x20), 0x40); /* as if acknowledged, once */
}
END_TEST

START_TEST(programming)
{
    pic_reset(&p);
    for (unsigned i = 0; i < PIC_INPUTS; i++)
        up(i);
    ck_assert(!pic_output(&p)); /* masked by power-on */
    start(1, true);
    ck_assert_uint_eq(in(0x4D0), 0xF8);
    ck_assert_uint_eq(in(0x4D1), 0xDE);
    pic_reset(&p);
    pic_set_level(&p, 11);
    pic_set_level(&p, 1);
    ck_assert_uint_eq(in(0x4D0), 0);
    ck_assert_uint_eq(in(0x4D1), 8);
    /* Alone, and without ICW4: two words, and the next one is a mask. */
    pic_write(&p, 0x20, 0x12);
    pic_write(&p, 0x21, 0x45);
    pic_write(&p, 0x21, 0x5A);
    ck_assert_uint_eq(in(0x21), 0x5A);
    pic_write(&p, 0x21, 0);
    up(2);
    ck_assert_uint_eq(pic_acknowledge(&p), 0x42);
    /* A new start forgets what was in service and what had risen. */
    down(2);
    up(6);
    pic_write(&p, 0x20, 0x13);
    pic_write(&p, 0x20, 0x0B);
    ck_assert_uint_eq(in(0x20), 0);
    ck_assert(!pic_output(&p));
    for (unsigned port = 0; port < 0x1000; port++) {
        bool ours = port == 0x20 || port == 0x21 || port == 0xA0 || port == 0xA1 || port == 0x4D0 ||
                    port == 0x4D1;
        uint8_t v;

        ck_assert(pic_read(&p, (uint16_t)port, &v) == ours);
        ck_assert(pic_write(&p, (uint16_t)port, 0) == ours);
    }
}
END_TEST

/* Whatever is written: no vector but its own, and every interrupt comes to an end. */
START_TEST(anything)
{
    static const uint16_t ports[] = {0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1};

    srandom(1);
    pic_reset(&p);
    for (unsigned i = 0; i < 200000; i++) {
        long r = random();
        uint8_t v;

        switch (r % 4) {
        case 0:
            pic_write(&p, ports[r / 4 % 6], (uint8_t)(r >> 8));
            break;
        case 1:
            pic_read(&p, ports[r / 4 % 6], &v);
            break;
        case 2:
            pic_line(&p, (unsigned)(r >> 8) % PIC_INPUTS, r & 4, r & 8);
            break;
        default:
            v = pic_acknowledge(&p);
            ck_assert((v & 0xF8) == p.chip[0].base || (v & 0xF8) == p.chip[1].base);
        }
        ck_assert(p.chip[0].first < 8 && p.chip[1].first < 8);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pic");
    TCase *t = tcase_create("8259");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 120);
    tcase_add_test(t, level);
    tcase_add_test(t, edge);
    tcase_add_test(t, inputs);
    tcase_add_test(t, priorities);
    tcase_add_test(t, rotation);
    tcase_add_test(t, special_mask);
    tcase_add_test(t, spurious_and_poll);
    tcase_add_test(t, programming);
    tcase_add_test(t, anything);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
