/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/nic.c vmm/nic_exits.c vmm/nic_io.c vmm/wire.c vmm/shim.c vdtu netdev */
/*
 * The NIC of a PE without KVM: a PE with memory and a DTU, and a scheduler that counts.
 */
#include <check.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../include/dtu.h"
#include "../../netdev/e1000.h"
#include "../../vmm/nic_impl.h"
#include "../../vmm/sched.h"

#define MEM   (1u << 20)
#define RING  0x1000u /* transmit descriptors */
#define RX    0x2000u
#define BUF   0x8000u
#define SLOTS 16u

static struct node node;
static struct machine desc;
static struct pe pe;
static struct vdtu_noc *noc;
static uint8_t *mem, regs[8192] __attribute__((aligned(4096)));
static unsigned wakes, sent;
static uint8_t last[2048];
static size_t last_len;

void node_log(const struct node *n, int level, const char *fmt, ...)
{
    (void)n;
    (void)level;
    (void)fmt;
}

uint64_t host_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void on_wake(struct pe *p)
{
    ck_assert_ptr_eq(p, &pe);
    __atomic_fetch_add(&wakes, 1, __ATOMIC_SEQ_CST);
}

static uint64_t on_now(struct node *n)
{
    (void)n;
    return 7;
}

static const struct sched sched = {.name = "test", .wake = on_wake, .now = on_now};

static void on_transmit(void *arg, const void *frame, size_t len)
{
    ck_assert_ptr_eq(arg, &sent);
    sent++;
    last_len = len;
    memcpy(last, frame, len < sizeof(last) ? len : sizeof(last));
}

static void setup(void)
{
    static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};
    struct vdtu_config cfg = {.pe = 5, .mem_size = MEM, .regs = regs};

    memset(&node, 0, sizeof(node));
    memset(&pe, 0, sizeof(pe));
    memset(&desc, 0, sizeof(desc));
    desc.seed.on = true;
    node.desc = &desc;
    node.sched = &sched;
    pe.node = &node;
    pe.id = 5;
    pe.vm_fd = -1;
    pe.mem_size = MEM;
    atomic_store(&pe.barrier, DTU_RW_BARRIER);
    mem = pe.mem = calloc(1, MEM);
    cfg.mem = mem;
    noc = vdtu_noc_new();
    ck_assert_int_eq(vdtu_new(noc, &cfg, &pe.dtu), 0);
    ck_assert_int_eq(nic_new(&pe, mac), 0);
    nic_set_wire(pe.nic, on_transmit, &sent);
    wakes = sent = 0;
}

static void teardown(void)
{
    nic_free(pe.nic);
    vdtu_free(pe.dtu);
    vdtu_noc_free(noc);
    free(mem);
}

/* ---- accesses as the exit loop brings them ---- */

/* struct kvm_run is large, and data of an I/O exit lies behind it. */
static union {
    struct kvm_run run;
    uint8_t bytes[16384];
} r;

static bool port(uint16_t number, bool out, uint32_t *value)
{
    memset(&r, 0, sizeof(r));
    r.run.io.direction = out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
    r.run.io.port = number;
    r.run.io.size = 4;
    r.run.io.count = 1;
    r.run.io.data_offset = 8192;
    memcpy(r.bytes + 8192, value, 4);
    if (!nic_port(pe.nic, &r.run))
        return false;
    memcpy(value, r.bytes + 8192, 4);
    return true;
}

static uint32_t config(unsigned reg)
{
    uint32_t at = 0x80000000u | reg, v = 0;

    ck_assert(port(0xCF8, true, &at) && port(0xCFC, false, &v));
    return v;
}

static void set_config(unsigned reg, uint32_t v)
{
    uint32_t at = 0x80000000u | reg;

    ck_assert(port(0xCF8, true, &at) && port(0xCFC, true, &v));
}

static bool load(uint64_t addr, uint32_t *v)
{
    memset(&r, 0, sizeof(r));
    r.run.mmio.phys_addr = addr;
    r.run.mmio.len = 4;
    if (!nic_mmio(pe.nic, &r.run))
        return false;
    memcpy(v, r.run.mmio.data, 4);
    return true;
}

static uint32_t get(uint32_t reg)
{
    uint32_t v = 0;

    ck_assert(load(NIC_BAR0 + reg, &v));
    return v;
}

static void set(uint32_t reg, uint32_t v)
{
    memset(&r, 0, sizeof(r));
    r.run.mmio.phys_addr = NIC_BAR0 + reg;
    r.run.mmio.len = 4;
    r.run.mmio.is_write = 1;
    memcpy(r.run.mmio.data, &v, 4);
    ck_assert(nic_mmio(pe.nic, &r.run));
}

static void posted(uint32_t reg, uint32_t v)
{
    ck_assert(nic_posted(pe.nic, NIC_BAR0 + reg, v, 4));
}

static void driver(void)
{
    set_config(0x04, 7);
    posted(E_TDBAL, RING);
    posted(E_TDLEN, SLOTS * 16);
    posted(E_RDBAL, RX);
    posted(E_RDLEN, SLOTS * 16);
    nic_leave(pe.nic);
    set(E_TCTL, TCTL_EN);
    set(E_RCTL, RCTL_EN | RCTL_UPE | RCTL_BAM | RCTL_SECRC);
}

static void tx_desc(unsigned i, uint64_t addr, uint16_t len)
{
    uint64_t w = len | 0x0Bull << 24;

    memcpy(mem + RING + 16 * i, &addr, 8);
    memcpy(mem + RING + 16 * i + 8, &w, 8);
}

static void rx_desc(unsigned i, uint64_t addr)
{
    memset(mem + RX + 16 * i, 0, 16);
    memcpy(mem + RX + 16 * i, &addr, 8);
}

/* ---- tests ---- */

START_TEST(firmware)
{
    uint32_t v;

    ck_assert_uint_eq(config(0), 0x100E8086);
    ck_assert_uint_eq(config(0x10), NIC_BAR0);
    ck_assert_uint_eq(config(0x14), NIC_BAR1 | 1);
    ck_assert_uint_eq(config(0x04) & 7, 3);
    ck_assert_uint_eq(get(E_RA), 0x01005452);
    v = E_STATUS;
    ck_assert(port(NIC_BAR1, true, &v));
    ck_assert(port(NIC_BAR1 + 4, false, &v));
    ck_assert_uint_eq(v, get(E_STATUS));
    ck_assert(!load(NIC_BAR0 + NETDEV_BAR0_SIZE, &v));
    ck_assert(!load(NIC_BAR0 - 4, &v));
    ck_assert(!load(0, &v));
}
END_TEST

static bool granted(unsigned number)
{
    return !(pe.nic->tss[0x68 + number / 8] & 1 << number % 8);
}

START_TEST(ports_follow_the_window)
{
    uint32_t v = 0;

    ck_assert(granted(0xCF8) && granted(0xCFF) && !granted(0xCF7) && !granted(0xD00));
    ck_assert(granted(NIC_BAR1) && granted(NIC_BAR1 + 63));
    ck_assert(!granted(NIC_BAR1 - 1) && !granted(NIC_BAR1 + 64));
    set_config(0x14, 0xFFC0);
    ck_assert(!granted(NIC_BAR1) && granted(0xFFC0) && granted(0xFFFF));
    ck_assert(!port(NIC_BAR1, false, &v) && port(0xFFC0, false, &v));
    /* Where the stubs of the shim are, and where configuration is, nothing is granted. */
    set_config(0x14, 0xC0);
    for (unsigned p = 0; p < 0xCF8; p++)
        ck_assert(!granted(p));
    set_config(0x14, 0xCC0);
    ck_assert(!granted(0xCC0) && granted(0xCF8) && granted(0xCFC));
    set_config(0x14, NIC_BAR1);
    set_config(0x04, 2); /* I/O off */
    ck_assert(!granted(NIC_BAR1) && granted(0xCF8));
}
END_TEST

START_TEST(memory_window_moves)
{
    uint32_t v;

    set_config(0x10, 0xFE000000);
    ck_assert(!load(NIC_BAR0, &v) && load(0xFE000000 + E_STATUS, &v));
    ck_assert(!nic_posted(pe.nic, NIC_BAR0, 0, 4));
    set_config(0x04, 1);
    ck_assert(!load(0xFE000000, &v));
}
END_TEST

START_TEST(posted_stores_keep_their_order)
{
    driver();
    memcpy(mem + BUF, "\xFF\xFF\xFF\xFF\xFF\xFF\x52\x54\0\1\2\3\x88\xB5hello", 19);
    tx_desc(0, BUF, 60);
    posted(E_TDBAL, 0x10000); /* replaced before the doorbell */
    posted(E_TDBAL, RING);
    posted(E_TDT, 1);
    ck_assert_uint_eq(sent, 0);
    ck_assert(nic_has_posts(pe.nic));
    nic_leave(pe.nic);
    ck_assert(!nic_has_posts(pe.nic));
    ck_assert_uint_eq(sent, 1);
    ck_assert_uint_eq(last_len, 60);
    ck_assert_mem_eq(last + 14, "hello", 5);
    ck_assert_uint_eq(mem[RING + 12] & 1, 1);
}
END_TEST

START_TEST(doorbells_in_a_row)
{
    driver();
    for (unsigned i = 0; i < 8; i++)
        tx_desc(i, BUF, 60);
    for (unsigned i = 1; i <= 8; i++)
        posted(E_TDT, i);
    nic_leave(pe.nic);
    ck_assert_uint_eq(sent, 8);
    ck_assert_uint_eq(pe.nic->post_merged, 7);
}
END_TEST

/* About 4 MiB is what a doorbell is worth; the rest follows in bounded steps. */
START_TEST(a_doorbell_with_much_behind_it)
{
    driver();
    posted(E_TDLEN, 2048 * 16);
    posted(E_TDBAL, 0x20000);
    for (unsigned i = 0; i < 2047; i++) {
        uint64_t addr = BUF, w = 16000 | 0x0Bull << 24;

        memcpy(mem + 0x20000 + 16 * i, &addr, 8);
        memcpy(mem + 0x20000 + 16 * i + 8, &w, 8);
    }
    posted(E_TDT, 2047);
    nic_leave(pe.nic);
    ck_assert_uint_gt(sent, 500);
    ck_assert_uint_lt(sent, 2047);
    ck_assert(nic_has_posts(pe.nic));
    for (unsigned i = 0; i < 10 && nic_has_posts(pe.nic); i++)
        nic_leave(pe.nic);
    ck_assert_uint_eq(sent, 2047);
}
END_TEST

START_TEST(queue_overflows)
{
    unsigned i;

    for (i = 0; i < NIC_POSTS + 100; i++)
        posted(i % 2 ? E_TDBAL : E_TDBAH, i);
    ck_assert_uint_eq(pe.nic->post_lost, 50); /* the others stand for the last one */
    nic_leave(pe.nic);
    ck_assert_uint_eq(get(E_TDBAH), NIC_POSTS - 2);
    posted(E_TDBAH, 9); /* and goes on */
    nic_leave(pe.nic);
    ck_assert_uint_eq(get(E_TDBAH), 9);
}
END_TEST

START_TEST(narrow_and_wide_posts)
{
    ck_assert(nic_posted(pe.nic, NIC_BAR0 + E_TDBAL, 0x123400005670ull, 8));
    ck_assert(nic_posted(pe.nic, NIC_BAR0 + E_RDBAL, 0xFF, 1));
    ck_assert(nic_posted(pe.nic, NIC_BAR0 + E_RDBAL + 2, 0xFF, 4));
    nic_leave(pe.nic);
    ck_assert_uint_eq(get(E_TDBAL), 0x5670);
    ck_assert_uint_eq(get(E_TDBAH), 0x1234);
    ck_assert_uint_eq(get(E_RDBAL), 0);
    ck_assert_uint_eq(pe.nic->post_lost, 2);
}
END_TEST

/* What comes in does not reach what the PE itself may not write. */
START_TEST(dma_respects_the_barrier)
{
    static const uint8_t frame[64] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, [20] = 77};

    driver();
    rx_desc(0, BUF);
    rx_desc(1, BUF + 2048);
    posted(E_RDT, 2);
    atomic_store(&pe.barrier, BUF + 2048);
    nic_input(pe.nic, frame, 64);
    ck_assert_uint_eq(mem[BUF + 20], 77);
    ck_assert_uint_eq(netdev_stats(pe.nic->dev)->dma_errors, 0);
    nic_input(pe.nic, frame, 64);
    ck_assert_uint_eq(mem[BUF + 2048 + 20], 0);
    ck_assert_uint_gt(netdev_stats(pe.nic->dev)->dma_errors, 0);
}
END_TEST

/* Buffers that end outside of the memory, or lie where registers are. */
static const uint64_t outside[] = {MEM - 59, MEM, ~0ull - 10, NIC_BAR0, DTU_BASE, SHIM_GPA};

START_TEST(dma_stays_in_local_memory)
{
    driver();
    tx_desc(0, outside[_i], 60);
    posted(E_TDT, 1);
    nic_leave(pe.nic);
    ck_assert_uint_eq(sent, 0);
    ck_assert_uint_gt(netdev_stats(pe.nic->dev)->dma_errors, 0);
    tx_desc(1, MEM - 60, 60);
    posted(E_TDT, 2);
    nic_leave(pe.nic);
    ck_assert_uint_eq(sent, 1);
}
END_TEST

START_TEST(reception_raises_the_line)
{
    uint8_t frame[64] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

    driver();
    ck_assert_int_eq(nic_input(pe.nic, frame, 64), NETDEV_RX_NO_BUFFER);
    rx_desc(0, BUF);
    rx_desc(1, BUF + 2048);
    posted(E_RDT, 2); /* in the queue only: nic_input() looks there first */
    frame[20] = 77;
    ck_assert_int_eq(nic_input(pe.nic, frame, 64), NETDEV_RX_OK);
    ck_assert_uint_eq(mem[BUF + 20], 77);
    ck_assert(!nic_line(pe.nic));
    set(E_IMS, ICR_RXT0);
    ck_assert(nic_line(pe.nic));
    ck_assert_uint_eq(wakes, 1);
    ck_assert_uint_ne(get(E_ICR) & ICR_RXT0, 0);
    ck_assert(!nic_line(pe.nic));
    ck_assert_int_eq(nic_input(pe.nic, frame, 64), NETDEV_RX_OK);
    ck_assert(nic_line(pe.nic));
    ck_assert_uint_eq(wakes, 2);
    nic_pe_reset(pe.nic);
    ck_assert(!nic_line(pe.nic));
    ck_assert_uint_eq(get(E_RDLEN), 0);
    ck_assert_int_eq(nic_input(pe.nic, frame, 64), NETDEV_RX_OFF);
}
END_TEST

/* A bridge's turn: what ends its wait is a frame that it has not seen, and the link. */
START_TEST(causes_are_taken)
{
    uint8_t frame[64] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uint32_t causes = 0;

    driver();
    rx_desc(0, BUF);
    rx_desc(1, BUF + 2048);
    posted(E_RDT, 2);
    nic_leave(pe.nic);
    get(E_ICR);
    set(E_IMS, ICR_RXT0 | ICR_LSC);
    ck_assert(!nic_take_causes(pe.nic, 0, &causes));
    ck_assert_uint_eq(causes, 0);

    ck_assert_int_eq(nic_input(pe.nic, frame, 64), NETDEV_RX_OK);
    ck_assert(nic_line(pe.nic));
    ck_assert(nic_take_causes(pe.nic, 0, &causes)); /* it came behind the driver's back */
    ck_assert_uint_ne(causes & ICR_RXT0, 0);
    ck_assert(!nic_line(pe.nic));
    ck_assert(nic_take_causes(pe.nic, 0, &causes)); /* and is there still */
    ck_assert_uint_eq(causes, 0);
    ck_assert(!nic_take_causes(pe.nic, 1, &causes)); /* seen */
    ck_assert(nic_take_causes(pe.nic, 77, &causes)); /* a driver that errs does not sleep */

    ck_assert_int_eq(nic_input(pe.nic, frame, 64), NETDEV_RX_OK);
    ck_assert(!nic_take_causes(pe.nic, 2, &causes)); /* seen before its cause was */
    ck_assert_uint_ne(causes & ICR_RXT0, 0);
    set(E_ICS, ICR_LSC);
    ck_assert(nic_line(pe.nic));
    ck_assert(nic_take_causes(pe.nic, 2, &causes));
    ck_assert_uint_eq(causes, ICR_LSC);
    set(E_ICS, ICR_TXDW); /* frames that went are nobody's news */
    ck_assert(!nic_take_causes(pe.nic, 2, &causes));
}
END_TEST

/*
 * Buffers there are, but too few for the frame: it waits, and not with the lock held, as nobody
 * could add any then.
 */
START_TEST(longer_than_the_buffers)
{
    static uint8_t frame[1000] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    struct nic *n = pe.nic;
    char err[256];

    desc.nic.udp = (char[]){"127.0.0.1:0"};
    desc.nic.peer = (char[]){"127.0.0.1:9"};
    ck_assert_int_eq(wire_open(&desc, &n->wire, err, sizeof(err)), 0);
    driver();
    set(E_RCTL, get(E_RCTL) | 3u << RCTL_BSIZE_SHIFT); /* 256 bytes each */
    for (unsigned i = 0; i < SLOTS; i++)
        rx_desc(i, BUF + 256 * i);
    set(E_RDT, 1);
    frame[999] = 55;
    n->in[0] = (struct backend_frame){.data = frame, .len = sizeof(frame)};
    n->nin = 1;
    atomic_store(&n->holding, true); /* as if it had been tried */
    nic_sleep(n, 0);
    ck_assert(atomic_load(&n->holding));
    ck_assert_uint_eq(n->held, 1);
    nic_sleep(n, 0);
    ck_assert(atomic_load(&n->holding));
    set(E_RDT, SLOTS - 1);
    nic_sleep(n, 0);
    ck_assert(!atomic_load(&n->holding));
    ck_assert_uint_eq(mem[BUF + 999], 55);

    /* Nor for ever. */
    set(E_RDT, (get(E_RDH) + 1) % SLOTS);
    n->nin = 1;
    n->in_at = 0;
    atomic_store(&n->holding, true);
    nic_sleep(n, 0);
    ck_assert(atomic_load(&n->holding));
    n->held_since -= 200000000u;
    nic_sleep(n, 0);
    ck_assert(!atomic_load(&n->holding));
    ck_assert_uint_eq(n->given_up, 1);
}
END_TEST

/* ---- threads: the PE, somebody who empties KVM's queue, the wire ---- */

#define FRAMES 2000u

static void *poster(void *arg)
{
    (void)arg;
    for (unsigned i = 1; i <= FRAMES; i++)
        posted(E_TDT, i % SLOTS);
    return NULL;
}

static void *wire(void *arg)
{
    static const uint8_t frame[64] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

    (void)arg;
    for (unsigned i = 0; i < FRAMES; i++)
        nic_input(pe.nic, frame, sizeof(frame));
    return NULL;
}

START_TEST(threads)
{
    unsigned before;
    pthread_t a, b;

    driver();
    for (unsigned i = 0; i < SLOTS; i++) {
        tx_desc(i, BUF, 60);
        rx_desc(i, BUF + 2048 * (i + 1));
    }
    set(E_IMS, ICR_RXT0);
    ck_assert_int_eq(pthread_create(&a, NULL, poster, NULL), 0);
    ck_assert_int_eq(pthread_create(&b, NULL, wire, NULL), 0);
    for (unsigned i = 0; i < FRAMES; i++) {
        nic_leave(pe.nic);
        posted(E_RDT, i % SLOTS);
        (void)nic_line(pe.nic);
    }
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    nic_leave(pe.nic);
    ck_assert_uint_eq(pe.nic->post_lost, 0);
    ck_assert_uint_eq(pe.nic->posted, 2 * FRAMES + 4);
    before = sent;
    posted(E_TDT, (get(E_TDH) + 3) % SLOTS);
    nic_leave(pe.nic);
    ck_assert_uint_eq(sent, before + 3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("nic");
    TCase *t = tcase_create("nic");
    SRunner *runner = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, firmware);
    tcase_add_test(t, ports_follow_the_window);
    tcase_add_test(t, memory_window_moves);
    tcase_add_test(t, posted_stores_keep_their_order);
    tcase_add_test(t, doorbells_in_a_row);
    tcase_add_test(t, a_doorbell_with_much_behind_it);
    tcase_add_test(t, queue_overflows);
    tcase_add_test(t, narrow_and_wide_posts);
    tcase_add_test(t, dma_respects_the_barrier);
    tcase_add_loop_test(t, dma_stays_in_local_memory, 0, sizeof(outside) / sizeof(outside[0]));
    tcase_add_test(t, reception_raises_the_line);
    tcase_add_test(t, causes_are_taken);
    tcase_add_test(t, longer_than_the_buffers);
    tcase_add_test(t, threads);
    suite_add_tcase(s, t);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
