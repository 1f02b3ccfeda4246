/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Golden traces: what the golden sequences of dtu-spec 11 look like to somebody who records them,
 * and what a scheduler may do to a packet in transit.
 */
#include "vdtu_fixture.h"

#include <stdio.h>

static char text[8192];
static size_t text_len;

static void record(void *arg, const struct vdtu_event *e)
{
    static const char *const ops[] = {"idle",  "send",  "reply", "read",
                                      "write", "fetch", "ack",   "debug"};

    (void)arg;
    text_len += (size_t)snprintf(text + text_len, sizeof(text) - text_len, "PE%u/%u %s ep%u", e->pe,
                                 e->vpe, ops[e->op], e->ep);
    if (e->peer != 0xFFFF)
        text_len += (size_t)snprintf(text + text_len, sizeof(text) - text_len, " PE%u label %lx",
                                     e->peer, (unsigned long)e->label);
    text_len += (size_t)snprintf(text + text_len, sizeof(text) - text_len, " at %lx len %u = %u\n",
                                 (unsigned long)e->offset, e->len, e->result);
}

static void traced(void)
{
    text_len = 0;
    text[0] = 0;
    vdtu_noc_trace(fx->noc, record, NULL);
}

static void send(char name)
{
    uint8_t data[8];

    memset(data, name, sizeof(data));
    fx_poke(A, 0x100, data, sizeof(data));
    vdtu_store(A->d, DTU_DATA_ADDR, 0x100, 8);
    vdtu_store(A->d, DTU_DATA_SIZE, 8, 8);
    vdtu_store(A->d, DTU_REPLY_EPID, 1, 8);
    vdtu_store(A->d, DTU_REPLY_LABEL, 0xBEEF, 8);
    vdtu_store(A->d, DTU_COMMAND, DTU_CMD(DTU_SEND, 4), 8);
}

static void fetch(void)
{
    vdtu_store(B->d, DTU_COMMAND, DTU_CMD(DTU_FETCH, 2), 8);
}

static void ack(unsigned slot)
{
    vdtu_store(B->d, DTU_OFFSET, FX_RBUF + 256u * slot, 8);
    vdtu_store(B->d, DTU_COMMAND, DTU_CMD(DTU_ACK, 2), 8);
}

#define SENT "PE2/2 send ep4 PE3 label 1122334455667788 at 2 len 8 = 0\n"

START_TEST(wraparound)
{
    traced();
    send('A');
    send('B');
    fetch();
    send('C');
    send('D');
    send('E');
    ack(0);
    send('F');
    fetch();
    fetch();
    ck_assert_str_eq(text, SENT SENT
                     "PE3/3 fetch ep2 PE2 label 1122334455667788 at 10000 len 8 = 0\n" SENT SENT
                     "PE2/2 send ep4 PE3 label 1122334455667788 at 2 len 8 = 2\n"
                     "PE3/3 ack ep2 PE2 label 1122334455667788 at 10000 len 8 = 0\n" SENT
                     "PE3/3 fetch ep2 PE2 label 1122334455667788 at 10100 len 8 = 0\n"
                     "PE3/3 fetch ep2 PE2 label 1122334455667788 at 10200 len 8 = 0\n");
}
END_TEST

START_TEST(inverted)
{
    traced();
    send('A');
    send('B');
    fetch();
    fetch();
    ack(1);
    send('C');
    send('D');
    send('E');
    ack(0);
    send('F');
    fetch();
    fetch();
    fetch();
    fetch();
    fetch();
    ck_assert_str_eq(text, SENT SENT
                     "PE3/3 fetch ep2 PE2 label 1122334455667788 at 10000 len 8 = 0\n"
                     "PE3/3 fetch ep2 PE2 label 1122334455667788 at 10100 len 8 = 0\n"
                     "PE3/3 ack ep2 PE2 label 1122334455667788 at 10100 len 8 = 0\n" SENT SENT SENT
                     "PE3/3 ack ep2 PE2 label 1122334455667788 at 10000 len 8 = 0\n" SENT
                     "PE3/3 fetch ep2 PE2 label 1122334455667788 at 10200 len 8 = 0\n"
                     "PE3/3 fetch ep2 PE2 label 1122334455667788 at 10300 len 8 = 0\n"
                     "PE3/3 fetch ep2 PE2 label 1122334455667788 at 10000 len 8 = 0\n"
                     "PE3/3 fetch ep2 PE2 label 1122334455667788 at 10100 len 8 = 0\n"
                     "PE3/3 fetch ep2 at 0 len 0 = 0\n");
}
END_TEST

START_TEST(reply)
{
    traced();
    send('A');
    fetch();
    vdtu_store(B->d, DTU_DATA_ADDR, 0x100, 8);
    vdtu_store(B->d, DTU_DATA_SIZE, 16, 8);
    vdtu_store(B->d, DTU_OFFSET, FX_RBUF, 8);
    vdtu_store(B->d, DTU_COMMAND, DTU_CMD(DTU_REPLY, 2), 8);
    ck_assert_str_eq(text, SENT "PE3/3 fetch ep2 PE2 label 1122334455667788 at 10000 len 8 = 0\n"
                                "PE3/3 reply ep2 PE2 label beef at 1 len 16 = 0\n");
}
END_TEST

/* ---- in transit ---- */

static unsigned verdict;
static unsigned travelled;

static unsigned transit(void *arg, const struct vdtu_pkt *pkt)
{
    (void)arg;
    travelled++;
    ck_assert_uint_eq(pkt->src_pe, FX_A);
    ck_assert_uint_eq(vdtu_reg(A->d, DTU_COMMAND), DTU_CMD(DTU_SEND, 4)); /* busy, no lock held */
    if (verdict == 99) /* meanwhile the kernel takes the endpoint away */
        vdtu_store(A->d, DTU_EP(4, 0), 0, 8);
    return verdict == 99 ? SE_OK : verdict;
}

static void sent_in_transit(unsigned v, unsigned err, unsigned arrived)
{
    verdict = v;
    travelled = 0;
    vdtu_noc_transit(fx->noc, transit, NULL);
    send('A');
    ck_assert_uint_eq(travelled, 1);
    ck_assert_uint_eq(vdtu_reg(A->d, DTU_COMMAND), (uint64_t)err << DTU_CMD_ERR_SHIFT);
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_MSG_CNT), arrived);
}

START_TEST(in_transit)
{
    sent_in_transit(SE_OK, SE_OK, 1);
}
END_TEST

START_TEST(refused_in_transit)
{
    sent_in_transit(SE_NO_RING_SPACE, SE_NO_RING_SPACE, 0);
    verdict = SE_OK;
    send('B');
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_MSG_CNT), 1);
}
END_TEST

START_TEST(endpoint_gone_in_transit)
{
    sent_in_transit(99, SE_EP_INVALID, 0);
}
END_TEST

/* A refusal that was not used up, because the packet never left, must not hit the next command. */
START_TEST(refusal_is_for_one_packet)
{
    verdict = SE_NO_RING_SPACE;
    vdtu_noc_transit(fx->noc, transit, NULL);
    send('A');
    vdtu_noc_transit(fx->noc, NULL, NULL);
    send('B');
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_MSG_CNT), 1);
}
END_TEST

START_TEST(halted)
{
    fx_set_ep(A, 5, dtu_mem_r0(1 << 20), 0, dtu_mem_r2(FX_B, 3, DTU_PERM_RW));
    vdtu_noc_halt(fx->noc);
    vdtu_store(A->d, DTU_DATA_ADDR, 0, 8);
    vdtu_store(A->d, DTU_DATA_SIZE, 8192, 8);
    vdtu_store(A->d, DTU_OFFSET, 0, 8);
    vdtu_store(A->d, DTU_COMMAND, DTU_CMD(DTU_WRITE, 5), 8);
    ck_assert_uint_eq(vdtu_reg(A->d, DTU_COMMAND), (uint64_t)SE_INV_ARGS << DTU_CMD_ERR_SHIFT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vdtu trace");
    TCase *t = tcase_create("trace");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, fx_setup, NULL);
    tcase_add_test(t, wraparound);
    tcase_add_test(t, inverted);
    tcase_add_test(t, reply);
    tcase_add_test(t, in_transit);
    tcase_add_test(t, refused_in_transit);
    tcase_add_test(t, endpoint_gone_in_transit);
    tcase_add_test(t, refusal_is_for_one_packet);
    tcase_add_test(t, halted);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
