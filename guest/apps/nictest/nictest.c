/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NIC as a driver in a PE finds it.  Runs alone on a PE, without a kernel:
 *
 *     nictest probe            PCI, EEPROM, receive address, both resets
 *     nictest echo N SIZE      N frames, one at a time, each of which a peer sends back
 *     nictest stream N SIZE    N frames, as many under way as half of a ring; each comes back once
 *     nictest ordered N SIZE   and in order, where the backend keeps it (datagrams need not)
 *     nictest foreign          in a PE without a NIC: its windows are not there
 *     nictest port             in any PE: a port that is nobody's
 */
#include "../nic.h"
#include "dtu_drv.h"
#include "fmt.h"
#include "print.h"
#include "start.h"
#include "str.h"

#define PATIENCE_NS 500000000ull
#define ROUNDS      20u /* so often without an answer */

static volatile struct desc rx[RING] __attribute__((aligned(128)));
static volatile struct desc tx[RING] __attribute__((aligned(128)));
static uint8_t rx_buf[RING][FRAME], tx_buf[RING][FRAME];
static uint8_t seen[65536 / 8]; /* by frame number: it came back */
static unsigned rx_next, tx_next;

/* ---- probe ---- */

static uint16_t eeprom(unsigned word)
{
    unsigned i;
    uint32_t v = 0;

    set(EERD, word << 8 | 1);
    for (i = 0; i < 100 && !(v & 0x10); i++)
        v = get(EERD);
    return (uint16_t)(v >> 16);
}

static void mac(uint8_t m[6])
{
    unsigned i;

    for (i = 0; i < 6; i++)
        m[i] = (uint8_t)(eeprom(i / 2) >> 8 * (i % 2));
}

static int probe(void)
{
    uint16_t sum = 0;
    uint8_t m[6];
    uint32_t io;
    unsigned i;

    check(vreg_has(VREG_F_NIC), "the register page says that there is a NIC");
    check(pci(0) == 0x100E8086, "PCI: 8086:100E");
    check(pci(0x08) >> 16 == 0x0200, "PCI: class network");
    out32(0xCF8, 0x80000000u | 1u << 11);
    check(in32(0xCFC) == ~0u, "PCI: no other device");
    check(pci(0x10) == BAR0, "PCI: the firmware has placed BAR 0");
    io = pci(0x14) & ~3u;
    check(io == 0xC000, "PCI: the firmware has placed the I/O BAR");
    for (i = 0; i < 64; i++)
        sum = (uint16_t)(sum + eeprom(i));
    check(sum == 0xBABA, "EEPROM: checksum");
    mac(m);
    print("MAC %x:%x:%x:%x:%x:%x\n", m[0], m[1], m[2], m[3], m[4], m[5]);
    check(get(RAL) == (m[0] | m[1] << 8 | m[2] << 16 | (uint32_t)m[3] << 24),
          "RAL is the EEPROM's");
    set(RDLEN, 0x100);
    set(CTRL, get(CTRL) | 1u << 26);
    check(get(RDLEN) == 0, "reset through CTRL");
    set(RDLEN, 0x100);
    out32((uint16_t)io, CTRL);
    out32((uint16_t)(io + 4), 1u << 26);
    check(get(RDLEN) == 0, "reset through the I/O window");
    out32(0xCF8, 0x80000014);
    out32(0xCFC, 0xD000);
    out32(0xD000, STATUS);
    check(in32(0xD004) == get(STATUS), "the I/O window moves");
    out32(0xCF8, 0x80000010);
    out32(0xCFC, 0xFEA00000);
    check(get(STATUS) == 0, "the memory window moves away");
    out32(0xCFC, BAR0);
    check(get(STATUS) & 2, "and comes back; the link is up");
    return 0;
}

/* ---- frames ---- */

static void begin(void)
{
    uint8_t m[6];
    unsigned i;

    set(CTRL, get(CTRL) | 1u << 26);
    set(IMC, ~0u);
    out32(0xCF8, 0x80000004);
    out32(0xCFC, 7);
    set(CTRL, get(CTRL) | 1u << 6);
    for (i = 0; i < RING; i++)
        rx[i].addr = (uintptr_t)rx_buf[i];
    set(RDBAL, (uint32_t)(uintptr_t)rx);
    set(RDBAH, 0);
    set(RDLEN, sizeof(rx));
    set(RDH, 0);
    set(RDT, RING - 1);
    set(RCTL, 1u << 1 | 1u << 3 | 1u << 15 | 1u << 26); /* EN, UPE, BAM, SECRC */
    set(TDBAL, (uint32_t)(uintptr_t)tx);
    set(TDBAH, 0);
    set(TDLEN, sizeof(tx));
    set(TDH, 0);
    set(TDT, 0);
    set(TCTL, 1u << 1 | 1u << 3);
    set(IMS, 1u << 7); /* RXT0 */
    mac(m);
}

static void send(unsigned number, unsigned size)
{
    uint8_t *p = tx_buf[tx_next % RING];
    volatile struct desc *d = &tx[tx_next % RING];
    unsigned i;

    for (i = 0; i < 6; i++) {
        p[i] = 0xFF;
        p[6 + i] = i == 0 ? 0x52 : (uint8_t)i;
    }
    p[12] = 0x88; /* local experiment 1 */
    p[13] = 0xB5;
    for (i = 14; i < size; i++)
        p[i] = (uint8_t)(number * 31 + i);
    p[14] = (uint8_t)number;
    p[15] = (uint8_t)(number >> 8);
    d->addr = (uintptr_t)p;
    d->len = (uint16_t)size;
    d->status = 0;
    d->cmd = 0x0B; /* EOP, IFCS, RS */
    tx_next++;
    __asm__ volatile("" ::: "memory");
    set(TDT, tx_next % RING);
}

/* The frame that has come, if one has: its number, or -1; -2 when it is not as it was sent. */
static int take(unsigned size)
{
    volatile struct desc *d = &rx[rx_next % RING];
    const uint8_t *p = rx_buf[rx_next % RING];
    unsigned number, i;
    int r;

    if (!(d->status & 1))
        return -1;
    number = p[14] | (unsigned)p[15] << 8;
    r = d->len == (size < 60 ? 60 : size) && p[12] == 0x88 && p[13] == 0xB5 ? (int)number : -2;
    for (i = 16; i < size && r >= 0; i++)
        if (p[i] != (uint8_t)(number * 31 + i))
            r = -2;
    d->status = 0;
    set(RDT, rx_next++ % RING);
    return r;
}

static bool wait_frame(void)
{
    set(IMS, 1u << 7);
    vreg_set(VREG_WAIT, PATIENCE_NS);
    if (!(vreg_get(VREG_WAIT_CAUSE) & VREG_CAUSE_NIC))
        return false;
    return get(ICR) != 0;
}

static uint64_t now(void)
{
    vreg_set(VREG_TIME, 0);
    return vreg_get(VREG_TIME);
}

/* Whether that number is new; what comes again after it was sent again is not. */
static bool first_time(unsigned number)
{
    uint8_t bit = (uint8_t)(1u << number % 8);
    bool first = !(seen[number / 8] & bit);

    seen[number / 8] |= bit;
    return first;
}

/*
 * `ordered`: what comes out of order fails, too.  Loopback datagrams of one socket overtake each
 * other when the sending thread changes its core while the old core's queue is behind.
 */
static void exchange(unsigned count, unsigned size, unsigned window, bool ordered)
{
    unsigned sent = 0, got = 0, bad = 0, late = 0, twice = 0, quiet = 0, again = 0, low = 0;
    uint64_t since;

    begin();
    since = now();
    while (got < count && quiet < ROUNDS) {
        int number;

        while (sent < count && sent - low < window)
            send(sent++, size);
        number = take(size);
        if (number == -1) {
            if (wait_frame()) {
                quiet = 0;
            } else { /* the peer may not have been there: once more */
                quiet++;
                again += sent - low;
                sent = low;
            }
            continue;
        }
        if (number < 0 || (unsigned)number >= count) {
            bad++;
            continue;
        }
        if (!first_time((unsigned)number)) {
            twice++;
            continue;
        }
        late += (unsigned)number != got++;
        while (low < count && (seen[low / 8] >> low % 8 & 1))
            low++;
    }
    since = now() - since;
    print("%u frames of %u bytes: sent %u, %u of them again, received %u, bad %u, twice %u, "
          "out of order %u, %u ns each\n",
          count, size, sent + again, again, got, bad, twice, late,
          (unsigned)(since / (got ? got : 1)));
    check(got == count && bad == 0 && twice <= again && (late == 0 || !ordered),
          ordered ? "every frame came back, in order" : "every frame came back");
}

/* ---- where no NIC is ---- */

static int foreign(void)
{
    check(!vreg_has(VREG_F_NIC), "the register page says that there is no NIC");
    check(get(STATUS) == 0 && get(RAL) == 0, "nothing at the addresses of its registers");
    set(RAL, 0x12345678);
    check(get(RAL) == 0, "a store there is lost");
    print_flush();
    in32(0xCFC);
    check(false, "reading a configuration port was possible");
    return 0;
}

static unsigned number(const char *s)
{
    unsigned n = 0;

    while (*s >= '0' && *s <= '9')
        n = n * 10 + (unsigned)(*s++ - '0');
    return n;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "probe";
    unsigned count = argc > 2 ? number(argv[2]) : 100, size = argc > 3 ? number(argv[3]) : 64;

    if (count > 65535)
        count = 65535;

    if (strcmp(what, "echo") == 0)
        exchange(count, size, 1, false);
    else if (strcmp(what, "stream") == 0)
        exchange(count, size, RING / 2, false);
    else if (strcmp(what, "ordered") == 0)
        exchange(count, size, RING / 2, true);
    else if (strcmp(what, "foreign") == 0)
        foreign();
    else if (strcmp(what, "port") == 0)
        in32(0x80);
    else
        probe();
    print("%u passed, %u failed\n", passed, failed);
    print_flush();
    vreg_set(VREG_EXIT, (failed ? 1 : 0) | (uint64_t)VREG_EXIT_MACHINE << 32);
    guest_halt(0);
}
