/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linktest COUNT [errors] [linger=S] [silent=S] [start=PE,PE...] PE:PE ...
 *
 * The pairs are of PEs on different nodes; all nodes name the same ones.  Each PE of a pair sends
 * COUNT messages (0: without end) of 24 to 4071 bytes to the other, several under way at a time,
 * and in between writes to and reads from its memory.  The receiver checks that every message comes
 * once, in order and with the right content, and answers with a checksum.  start= names further PEs
 * of this node, which get copies of this program.  With `errors` every error code is provoked
 * first.
 *
 * A session is a sequence of messages from 0 on.  It begins with HELLO, and a new one begins only
 * when the other node was lost: then an error is no failure, but within a session nothing may be
 * missing.  The program runs on a privileged PE and sets its endpoints itself.
 *
 * The last message is a BYE, sent when all others are answered: who has got one owes its sender
 * nothing that counts, so it may end, however slow the other one is, and the BYE of who is left
 * alone by that need not succeed.
 */
#include "fmt.h"
#include "linktest.h"
#include "print.h"
#include "start.h"
#include "str.h"

#define NS_PER_S  1000000000ull
#define RETRY_NS  50000000ull
#define MEM_EVERY 16u
#define REPORT    1000u
#define FAILS_MAX 20u

unsigned passed, failed;
static unsigned linger = 1;  /* s; else the other node's BYE may have to wait until we are dead */
static unsigned silent = 30; /* s without an answer to a message: the other one has started anew */
uint8_t sink[GLOBAL_MAX][SINK_SIZE] __attribute__((aligned(64)));
volatile uint64_t ended;

static uint8_t requests[32u << SLOT_ORDER] __attribute__((aligned(64)));
static uint8_t replies[32 * 64] __attribute__((aligned(64)));
static uint8_t small[2 * SMALL_SIZE] __attribute__((aligned(64)));
static struct pair pairs[PAIRS_MAX];
static unsigned npairs, window, self;
static uint64_t count;
static bool want_errors;
static unsigned others[32], nothers;

void good(const char *what)
{
    passed++;
    print("ok   %s\n", what);
}

void wrong(const char *format, ...)
{
    va_list ap;

    if (failed++ >= FAILS_MAX)
        return;
    print("FAIL ");
    va_start(ap, format);
    vprint(format, ap);
    va_end(ap);
    print("\n");
}

uint64_t time_now(void)
{
    vreg_set(VREG_TIME, 0);
    return vreg_get(VREG_TIME);
}

static struct pair *pair_of(unsigned pe)
{
    for (unsigned i = 0; i < npairs; i++)
        if (pairs[i].pe == pe)
            return &pairs[i];
    return NULL;
}

/* ---- receiving ---- */

/*
 * The other one's error tests are over when its traffic begins; a PE with unread messages could not
 * sleep.
 */
static void empty_small(void)
{
    const struct dtu_header *h;

    while ((h = dtu_fetch(EP_SMALL)))
        dtu_ack(EP_SMALL, h);
}

static const char *check(struct pair *p, const struct dtu_header *h, const struct request *r)
{
    if (h->length < sizeof(*r) || r->len != h->length - sizeof(*r))
        return "length";
    if (h->label != self)
        return "label";
    if (r->kind == KIND_HELLO) {
        p->from_session = r->session;
        p->from_next = 0;
        return NULL;
    }
    if (r->seq != p->from_next)
        return "order";
    if (p->from_next == 0)
        empty_small();
    p->from_next++;
    p->from_total++;
    p->bye |= r->kind == KIND_BYE;
    return NULL;
}

static void receive(const struct dtu_header *h)
{
    static uint8_t want[MSG_MAX];
    struct pair *p = pair_of(h->sender_pe);
    const uint8_t *content = dtu_payload(h) + sizeof(struct request);
    struct request r = {0};
    struct answer a = {0};
    const char *bad = "sender";

    memcpy(&r, dtu_payload(h), h->length < sizeof(r) ? h->length : sizeof(r));
    if (p && r.kind != KIND_HELLO && r.session != p->from_session) {
        a.verdict = VERDICT_UNKNOWN; /* we are new here */
        bad = NULL;
    } else if (p) {
        bad = check(p, h, &r);
        if (!bad) {
            content_fill(want, r.len, r.session, r.seq);
            if (memcmp(want, content, r.len) != 0)
                bad = "content";
            a.sum = content_sum(content, r.len);
        }
    }
    if (bad)
        wrong("message %llu from PE %u: wrong %s (%llu comes next)", (unsigned long long)r.seq,
              h->sender_pe, bad, p ? (unsigned long long)p->from_next : 0);
    a.session = r.session;
    a.seq = r.seq;
    dtu_reply(EP_REQUESTS, h, &a, sizeof(a)); /* the sender's node may be gone: its affair */
}

/* ---- sending ---- */

static void new_session(struct pair *p)
{
    p->up = false;
    p->session = time_now() << 10 | self;
    p->next = p->answered = 0;
    p->retry_at = 0;
    p->sessions++;
    dtu_config_send(p->ep, p->pe, VPE, EP_REQUESTS, 1u << SLOT_ORDER, window << SLOT_ORDER, p->pe);
}

static void answered(const struct dtu_header *h)
{
    static uint8_t want[MSG_MAX];
    struct pair *p = pair_of(h->sender_pe);
    struct answer a;
    size_t len;

    memcpy(&a, dtu_payload(h), sizeof(a));
    if (!p || h->length != sizeof(a) || !(h->flags & DTU_HD_REPLY)) {
        wrong("an answer from PE %u with %u bytes", h->sender_pe, h->length);
        return;
    }
    if (a.session != p->session)
        return; /* of a session that is over */
    p->idle_since = 0;
    if (a.verdict == VERDICT_UNKNOWN) {
        new_session(p);
        return;
    }
    if (!p->up) {
        p->up = true;
        p->next = p->answered = 0;
        print("PE %u: PE %u answers in session %u\n", self, p->pe, p->sessions);
        return;
    }
    len = h->label < sizeof(want) ? h->label : 0; /* as we said with the message */
    content_fill(want, len, p->session, a.seq);
    if (a.seq != p->answered || a.sum != content_sum(want, len))
        wrong("answer %llu from PE %u, not %llu, or a wrong checksum", (unsigned long long)a.seq,
              p->pe, (unsigned long long)p->answered);
    p->answered = a.seq + 1;
    if (p->answered % REPORT == 0)
        print("PE %u: %llu messages to PE %u in session %u\n", self,
              (unsigned long long)p->answered, p->pe, p->sessions);
}

static unsigned send(struct pair *p, unsigned kind, uint64_t seq, size_t len)
{
    static uint8_t buf[MSG_MAX] __attribute__((aligned(16)));
    struct request r = {.kind = kind, .len = (uint32_t)len, .session = p->session, .seq = seq};

    memcpy(buf, &r, sizeof(r));
    content_fill(buf + sizeof(r), len, p->session, seq);
    return dtu_send(p->ep, buf, sizeof(r) + len, EP_REPLIES, len);
}

/* Mostly short ones, now and then the longest there are. */
static size_t length_of(uint64_t seq)
{
    uint32_t h = (uint32_t)(seq * 0x9E3779B1u ^ self * 0x85EBCA6Bu);

    h ^= h >> 15;
    if (h % 32 == 0)
        return MSG_MAX - sizeof(struct request);
    return h % 8 == 0 ? h / 8 % 1500 : h / 8 % 200;
}

static bool lost(struct pair *p, unsigned err, const char *what)
{
    if (err == SE_OK)
        return false;
    if (err != SE_RECV_GONE && err != SE_EP_INVALID)
        wrong("%s PE %u: error %u", what, p->pe, err);
    print("PE %u: lost PE %u (error %u)\n", self, p->pe, err);
    new_session(p);
    p->retry_at = time_now() + RETRY_NS;
    return true;
}

static bool hello(struct pair *p)
{
    unsigned err;

    if (p->next > 0 || time_now() < p->retry_at)
        return false; /* sent already, or not yet again */
    err = send(p, KIND_HELLO, 0, 0);
    if (err == SE_OK) {
        p->next = 1;
    } else {
        /* It has not set its endpoints yet; or its node is down. */
        dtu_config_send(p->ep, p->pe, VPE, EP_REQUESTS, 1u << SLOT_ORDER, window << SLOT_ORDER,
                        p->pe);
        p->retry_at = time_now() + RETRY_NS;
    }
    return err == SE_OK;
}

static bool say_bye(struct pair *p)
{
    unsigned err;

    if (p->answered < count)
        return false;
    err = send(p, KIND_BYE, count, 0);
    if (!p->bye && lost(p, err, "BYE to"))
        return true;
    p->next++;
    p->done = true;
    return true;
}

/* A bit of work for one pair; false when there is nothing to do now. */
static bool step(struct pair *p)
{
    unsigned err;

    if (p->done)
        return false;
    if (p->next > p->answered) {
        uint64_t now = time_now();

        if (p->idle_since == 0)
            p->idle_since = now;
        if (now - p->idle_since > silent * NS_PER_S) {
            print("PE %u: PE %u does not answer\n", self, p->pe);
            new_session(p);
            p->idle_since = 0;
        }
    }
    if (!p->up)
        return hello(p);
    if (count && p->next == count)
        return say_bye(p);
    if (p->next - p->answered >= window)
        return false;
    if (p->next % MEM_EVERY == MEM_EVERY - 1 && !test_memory(p, p->next, &err))
        return lost(p, err, "memory of");
    err = send(p, KIND_DATA, p->next, length_of(p->next));
    if (lost(p, err, "message to"))
        return true;
    p->next++;
    return true;
}

static bool finished(void)
{
    for (unsigned i = 0; i < npairs; i++)
        if (!pairs[i].done || !pairs[i].bye)
            return false;
    return true;
}

static bool drain(void)
{
    const struct dtu_header *h;
    bool any = false;

    while ((h = dtu_fetch(EP_REPLIES))) {
        answered(h);
        dtu_ack(EP_REPLIES, h);
        any = true;
    }
    while ((h = dtu_fetch(EP_REQUESTS))) {
        receive(h);
        any = true;
    }
    return any;
}

static void run(void)
{
    while (!finished()) {
        bool any = drain();

        for (unsigned i = 0; i < npairs; i++) {
            if (pairs[i].up && want_errors) { /* before any traffic, see empty_small() */
                want_errors = false;
                test_errors(&pairs[i]);
            }
            any |= step(&pairs[i]);
        }
        if (!any)
            dtu_relax(RETRY_NS);
    }
    /* The bridge has to tell that we got their BYE, and that may get lost. */
    for (uint64_t end = time_now() + linger * NS_PER_S; time_now() < end;) {
        drain();
        dtu_relax(RETRY_NS);
    }
}

/* ---- arguments ---- */

static bool number(const char **s, unsigned *out)
{
    unsigned v = 0;
    const char *p = *s;

    while (*p >= '0' && *p <= '9' && v < 100000)
        v = v * 10 + (unsigned)(*p++ - '0');
    if (p == *s)
        return false;
    *s = p;
    *out = v;
    return true;
}

static bool add_pair(const char *s, unsigned index)
{
    struct pair *p = &pairs[npairs];
    unsigned a, b;

    if (!number(&s, &a) || *s++ != ':' || !number(&s, &b) || *s || index >= GLOBAL_MAX)
        return false;
    if (a != self && b != self)
        return true;
    if (npairs == PAIRS_MAX)
        return false;
    p->index = index;
    p->pe = a == self ? b : a;
    p->ep = EP_PEER + npairs++;
    return true;
}

static bool parse(int argc, char **argv)
{
    unsigned long n;
    unsigned index = 0;

    if (argc < 3 || !fmt_parse(argv[1], &n))
        return false;
    count = n;
    npairs = nothers = 0; /* a copy has the original's */
    for (int i = 2; i < argc; i++) {
        const char *s = argv[i];

        if (strcmp(s, "errors") == 0) {
            want_errors = true;
        } else if (strncmp(s, "linger=", 7) == 0) {
            s += 7;
            if (!number(&s, &linger) || *s)
                return false;
        } else if (strncmp(s, "silent=", 7) == 0) {
            s += 7;
            if (!number(&s, &silent) || *s)
                return false;
        } else if (strncmp(s, "start=", 6) == 0) {
            for (s += 6; nothers < 32 && number(&s, &others[nothers]); s += *s == ',')
                nothers++;
            if (*s)
                return false;
        } else if (!add_pair(s, index++)) {
            return false;
        }
    }
    return npairs > 0;
}

static bool is_copy(void)
{
    for (unsigned i = 0; i < nothers; i++)
        if (others[i] == self)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    bool copy;

    self = (unsigned)vreg_get(VREG_PE);
    if (!parse(argc, argv))
        panic("usage: linktest COUNT [errors] [linger=S] [silent=S] [start=PE,PE] PE:PE ...");
    window = 24 / npairs > 8 ? 8 : 24 / npairs;
    copy = is_copy();
    if (copy) {
        nothers = 0;
        want_errors = false; /* one is enough */
    }
    for (unsigned i = 0; i < nothers; i++)
        clone_to(others[i]);
    dtu_config_recv(EP_REPLIES, replies, 11, 6);
    dtu_config_recv(EP_SMALL, small, 9, 8);
    dtu_config_recv(EP_REQUESTS, requests, SLOT_ORDER + 5, SLOT_ORDER);
    for (unsigned i = 0; i < npairs; i++)
        new_session(&pairs[i]);
    run();
    for (unsigned i = 0; i < npairs; i++)
        print("PE %u: %llu messages to PE %u in %u sessions, %llu from it\n", self,
              (unsigned long long)count, pairs[i].pe, pairs[i].sessions,
              (unsigned long long)pairs[i].from_total - 1);
    ended = failed + 1;
    for (unsigned i = 0; i < nothers; i++)
        failed += clone_wait(others[i]);
    if (!copy) {
        print("linktest: %u passed, %u failed\n", passed + npairs, failed);
        vreg_set(VREG_EXIT, (failed != 0) | (uint64_t)VREG_EXIT_MACHINE << 32);
    }
    guest_halt(failed != 0);
}
