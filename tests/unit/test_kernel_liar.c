/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One of three kernels lies at random, of VPEs that move, of calls that are parked, and of
 * revocations, in between what honest ones do.  When it has gone the other two must be in order,
 * know each other, and wait for nothing.
 */
/*
 * LINK: tests/unit/kernel_fake.c tests/unit/kernel_fake_many.c
 * LINK: guest/kernel/cap.c guest/kernel/revoke.c guest/kernel/ep.c
 * LINK: guest/kernel/vpe.c guest/kernel/pe.c guest/kernel/load.c guest/kernel/elf.c
 * LINK: guest/kernel/sys.c guest/kernel/sys_cap.c guest/kernel/sys_mem.c guest/kernel/sys_vpe.c
 * LINK: guest/kernel/srv.c guest/kernel/sys_srv.c
 * LINK: guest/kernel/peer.c guest/kernel/connect.c guest/kernel/kcall.c guest/kernel/kcall_group.c
 * LINK: guest/kernel/kcall_srv.c guest/kernel/kcall_exch.c guest/kernel/mht.c guest/kernel/kboot.c
 * LINK: guest/kernel/kcap.c guest/kernel/peer_time.c guest/kernel/far.c guest/kernel/mht_move.c
 * LINK: guest/kernel/move.c guest/kernel/move_give.c guest/kernel/move_take.c
 * LINK: guest/kernel/move_hold.c guest/kernel/park.c
 * LINK: guest/kernel/memmap.c guest/kernel/bootline.c guest/kernel/start.c
 */
#include "migrate_fixture.h"

#define CHUNKS 24
#define SEEDS  20u
#define STEPS  150u

static uint64_t state;
static unsigned liar;
static unsigned calls[FAKE_PES]; /* answered ones, and one that is not */

static unsigned pick(unsigned n)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(state >> 33) % n;
}

static unsigned some_pe(void)
{
    const unsigned pes[] = {ps, pc, pc, p0, p1, p2};

    return pick(9) ? pes[pick(6)] : fake_kernel_pe(pick(3)) + pick(4);
}

static uint64_t some_key(void)
{
    static const unsigned sels[] = {0,   1,       GATE, MEM,  SRV,      SESS,
                                    GOT, GOT + 1, ROOT, KIDS, KIDS + 1, MEM + 1};
    unsigned pe = some_pe(), sel = sels[pick(12)];
    const struct vpe *v = where(pe, NULL);
    const struct cap *c = v ? cap_at(&v->caps, sel) : NULL;

    if (c && pick(8))
        return cap_key(c);
    return ddl_key(pe, pe, pick(2) ? DDL_MEMCAP : DDL_SESSCAP, (uint64_t)pick(40) << 16 | sel);
}

/* ---- lies ---- */

/* Of a call of `to`'s: that it is parked, or an answer. */
static void lie_parked(unsigned to)
{
    const struct kreq *r = NULL;
    const struct peer *p;
    unsigned op = KC_EXCHANGEOSESS;
    uint32_t tid = pick(50);

    fake_use(to);
    p = peer_find(liar);
    if (p && p->inflight && pick(4))
        r = &p->req[pick(p->inflight)];
    else if (p && p->parked && pick(2))
        r = &p->parked->req;
    if (r) {
        op = r->op;
        tid = r->tid;
    }
    if (pick(2)) {
        KCALL(liar, to, KC_REPLY, op, tid);
        return;
    }
    tid |= pick(2) ? KC_TID_LATE : 0;
    if (op == KC_CREATESESSFWD)
        KCALL(liar, to, KC_CREATESESSRESP, 0, tid, pick(3) ? SE_OK : SE_INV_ARGS, pick(9),
              some_key());
    else if (op == KC_RECVBUFISATTACHED)
        KCALL(liar, to, KC_RECVBUFATTACHED, tid, pick(2) ? SE_OK : SE_RECV_GONE);
    else
        KCALL(liar, to, KC_EXCHANGEOSESSREPLY, tid, pick(3) ? SE_OK : SE_INV_ARGS, pick(99),
              CRD_OBJ, GOT, pick(3), some_key(), pick(9), 0x1000, 64, some_key());
}

/* STATE: a VPE with what each has; or a capability more; or a child. */
static unsigned put_state(uint64_t *m, unsigned pe)
{
    const uint64_t home = pick(3), where_is = pe | pe << 16 | 3ull << 32;
    const uint64_t vpe[] = {MOVE_R_VPE | 7ull << 16 | home << 32,
                            pe_desc(pe, FAKE_PE_MEM, PE_TYPE_SPM),
                            RB,
                            FAKE_PE_MEM,
                            'x',
                            0,
                            0,
                            0,
                            MOVE_R_CAP | (uint64_t)CAP_VPE << 8 | 5ull << 32,
                            0,
                            0,
                            0,
                            0,
                            MOVE_R_CAP | (uint64_t)CAP_MEM << 8 | 1ull << 16 | 5ull << 32,
                            0,
                            0,
                            4096,
                            where_is};
    const uint64_t sel = (uint64_t)(GOT + pick(3)) << 16;
    const uint64_t cap[] = {
        MOVE_R_CAP | (uint64_t)(pick(2) ? CAP_MEM : CAP_SESS) << 8 | sel | (uint64_t)pick(40) << 32,
        pick(3) ? some_key() : 0, 64 * pick(9), pick(2) ? 64 : some_key(), where_is};
    const uint64_t child[] = {MOVE_R_CHILD | sel, some_key()};
    const unsigned what = pick(5);
    const size_t n = what < 2 ? sizeof(vpe) : what < 4 ? sizeof(cap) : sizeof(child);

    memcpy(m, what < 2 ? vpe : what < 4 ? cap : child, n);
    return (unsigned)(n / sizeof(*m));
}

static void lie_moved(unsigned to)
{
    const uint64_t call[] = {VPE_EP_RECV, 0, 16, SYSC_NOOP, 0};
    const unsigned kind = MOVE_HOLD + pick(MOVE_GIVEN_AWAY), pe = some_pe();
    uint64_t m[32] = {KC_PARTITIONMIG, 0, kind, 0, pe};
    unsigned n = MOVE_WORDS;

    fake_use(to);
    m[3] = pick(3) ? kern.moves.tid : pick(40);
    switch (kind) {
    case MOVE_STATE:
        n += put_state(m + n, pe);
        break;
    case MOVE_SWITCH:
        m[n++] = pe_desc(pe, FAKE_PE_MEM, PE_TYPE_SPM);
        break;
    case MOVE_COMMIT:
        m[n++] = pick(2); /* fall through */
    case MOVE_CALL:
        memcpy(m + n, call, sizeof(call));
        n += 5;
        break;
    case MOVE_HOLD:
    case MOVE_END:
        m[n++] = pick(5);
        break;
    default:
        m[n++] = pick(3) ? SE_OK : SE_MSGS_WAITING;
    }
    fake_kcall(liar, to, m, n * sizeof(*m));
}

static void lie(void)
{
    unsigned to = pick(3);

    to = to == liar ? 0 : to;
    switch (pick(5)) {
    case 0:
        lie_parked(to);
        break;
    case 1:
        KCALL(liar, to, pick(2) ? KC_REVOKE : KC_REMOVECHILDCAPPTR, some_key(),
              pick(2) ? 1 : some_key(), some_key(), 1);
        break;
    default:
        lie_moved(to);
    }
}

/* ---- what honest ones do ---- */

static void call_something(void)
{
    const unsigned pe = some_pe(), before = fake_reply(pe)->count;
    unsigned k;

    /* Who has not had its answer, or never gets it, does not call. */
    if (!where(pe, &k) || calls[pe] > before || fake_ep_type(pe, VPE_EP_SYSC) != DTU_EP_SEND ||
        (fake_reg(pe, DTU_EP(VPE_EP_SYSC, 1)) & 0xFFFF) < SYSC_MSG_MAX)
        return;
    calls[pe] = before + 1;
    switch (pick(7)) {
    case 0:
        CALL(pe, SYSC_REVOKE, RANGE(pick(2) ? MEM : GOT + pick(3), 1), pick(2));
        break;
    case 1:
        CALL(pe, SYSC_OBTAIN, 0, SESS, RANGE(GOT + pick(9), 1 + pick(2)));
        break;
    case 2:
        CALL(pe, SYSC_DELEGATE, 0, SESS, RANGE(ROOT + pick(6), 1 + pick(2)));
        break;
    case 3:
        CALL(pe, SYSC_CREATESESS, 0, SESS + pick(3), NAME);
        break;
    case 4:
        CALL(pe, SYSC_ACTIVATE, 4 + pick(3), CAP_INVALID, GOT + pick(3));
        break;
    case 5:
        CALL(pe, SYSC_REQMEM, GOT + 20 + pick(9), ~0ull, 64, 3);
        break;
    default:
        CALL(pe, SYSC_NOOP);
    }
}

static void answer(void)
{
    if (!fake_request(ps)->there)
        return;
    if (fake_request(ps)->word[0] == OPEN)
        ANSWER(ps, SE_OK, pick(50));
    else
        ANSWER(ps, SE_OK, RANGE(pick(2) ? MEM : GATE, 1));
}

static void step(void)
{
    unsigned pe = some_pe();

    for (unsigned i = pick(6); i > 0; i--)
        fake_deliver_some(pick(64));
    switch (pick(8)) {
    case 0:
        call_something();
        break;
    case 1:
        if (where(pe, NULL))
            begin_move(pe, pick(3));
        break;
    case 2:
        answer();
        break;
    case 3:
        fake_time(pick(3) ? pick(200) * MS : pick(4) * SECOND);
        break;
    default:
        lie();
    }
}

/* ---- when it has gone ---- */

static void in_order(unsigned k)
{
    fake_use(k);
    ck_assert_ptr_nonnull(peer_find(3 - liar - k));
    ck_assert(!peer_find(3 - liar - k)->held);
    ck_assert_ptr_null(peer_find(3 - liar - k)->parked);
    ck_assert_uint_eq(peer_find(3 - liar - k)->nparks, 0);
    ck_assert(!kern.moves.hold && !kern.moves.from);
    ck_assert_uint_eq(kern.moves.phase, MOVE_IDLE);
    ck_assert_ptr_null(kern.revocations);
    ck_assert_ptr_null(kern.peers.late);
    for (const struct vpe *v = kern.vpes; v; v = v->next)
        ck_assert(v->wait.kind == WAIT_NONE && !v->move.frozen);
    for (unsigned i = 0; i < kern.pe_count; i++)
        ck_assert(peer_is_ours(kern.pe_order[i]) || kern.pes[kern.pe_order[i]].state == PE_KERNEL);
}

static void settle(void)
{
    for (unsigned k = 0; k < 3; k++) {
        fake_use(k);
        if (k != liar && peer_find(liar))
            peer_lost(peer_find(liar), "test");
    }
    fake_kill(liar);
    fake_auto = true;
    fake_deliver();
    for (unsigned i = 0; i < 300; i++) {
        if (fake_request(ps)->there)
            ANSWER(ps, SE_OK, RANGE(GATE, 1));
        fake_time(SECOND);
    }
}

START_TEST(one_lies)
{
    for (unsigned i = 0; i < SEEDS; i++) {
        fake_end();
        setup();
        furnish();
        state = (_i * SEEDS + i + 1) * 0x9E3779B97F4A7C15ull;
        liar = 1 + pick(2);
        memset(calls, 0, sizeof(calls));
        fake_auto = false;
        for (unsigned n = 0; n < STEPS; n++)
            step();
        settle();
        in_order(0);
        in_order(3 - liar);
        fake_restart(liar, false);
        for (unsigned k = 0; k < 3; k++) {
            fake_use(k);
            for (unsigned n = 0; n < KC_PEERS; n++)
                peer_lost(&kern.peers.peer[n], NULL);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("a kernel that lies");
    TCase *t = tcase_create("liar");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, one_lies, 0, CHUNKS);
    suite_add_tcase(s, t);
    return run_suite(s);
}
