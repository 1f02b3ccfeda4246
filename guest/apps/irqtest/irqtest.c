/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NIC's interrupt line in a bare PE (--nic ...,irq=N), at CPL 0 with descriptor tables and
 * handlers of our own:
 *
 *     irqtest line             what the line and the controllers do, a line of output for each test
 *     irqtest frames N WINDOW  N frames that a peer sends back, so many under way, taken by
 *                              interrupts alone
 *     irqtest fault            an exception that nobody handles
 *
 * Built without SSE, which some hosts cannot have at CPL 0 (vmm/README.md).
 */
#include "irqtest.h"

#include "../nic.h"
#include "dtu_drv.h"
#include "fmt.h"
#include "print.h"
#include "start.h"
#include "str.h"

#define SIZE 64u

#define PATIENCE 100000u /* rounds of a loop */
#define SETTLE   100u

#define MEET_NS     20000000u
#define MEET_ROUNDS 3000u

enum { LSC = 1 << 2, RXT0 = 1 << 7, ALL = LSC | RXT0 };

const unsigned ring_entries = 0; /* no channels: nobody to send to */

static volatile struct desc rx[RING] __attribute__((aligned(128)));
static volatile struct desc tx[RING] __attribute__((aligned(128)));
static uint8_t rx_buf[RING][FRAME], tx_buf[RING][SIZE];
static unsigned irq;

/* What the handler has seen, and what it shall do. */
static volatile unsigned taken, empty, foreign, keep;
static volatile uint32_t causes;
static volatile bool by_mask;

/* `keep` interrupts are left to come again; the line goes down by IMC, or by reading ICR. */
void on_interrupt(unsigned input)
{
    uint32_t c;

    if (input != irq) {
        foreign++;
        return;
    }
    taken++;
    if (keep > 0) {
        keep--;
    } else if (by_mask) {
        set(IMC, ~0u);
    } else {
        c = get(ICR);
        causes |= c;
        empty += c == 0;
    }
    pic_eoi(input);
}

/*
 * So many interrupts since the last look?  A KVM that interprets CPL 0 looks for them every few
 * instructions, so they get some, and an exit; too many would come then, too.
 */
static bool came(unsigned n)
{
    bool good;

    for (unsigned i = 0; taken < n && i < PATIENCE; i++)
        __builtin_ia32_pause();
    vreg_set(VREG_TIME, 0);
    for (unsigned i = 0; i < SETTLE; i++)
        __builtin_ia32_pause();
    good = taken == n;

    if (!good)
        print("      %u interrupts, not %u\n", taken, n);
    taken = 0;
    return good;
}

static bool open(void)
{
    uint32_t r = pci(0x3C);

    irq = r & 0xFF;
    check(vreg_has(VREG_F_NIC) && vreg_has(VREG_F_BARE), "the register page says so");
    check((r >> 8 & 0xFF) == 1, "PCI: the device has the pin INTA#");
    check(irq < 16, "PCI: and says which input of the controllers it leads to");
    if (irq >= 16)
        return false;
    check(inb((uint16_t)(0x4D0 + irq / 8)) & pic_bit(irq), "that input is level-triggered");
    cpu_init();
    pic_init();
    set(IMC, ~0u);
    get(ICR);
    pci_set(0x04, 7); /* bus master */
    return true;
}

/* ---- line ---- */

static void test_masks(void)
{
    set(IMS, RXT0);
    set(ICS, RXT0);
    sti();
    check(came(0) && pic_irr(irq), "masked at the controller: pending there, not taken");
    vreg_set(VREG_WAIT, VREG_WAIT_FOREVER);
    check(vreg_get(VREG_WAIT_CAUSE) == VREG_CAUSE_NIC, "the line ends a wait all the same");
    pic_mask(irq, false);
    check(came(1) && causes == RXT0, "unmasked: taken, by its cause");
    check(!pic_irr(irq), "a read of ICR takes the line down");
    set(IMC, RXT0);
    set(ICS, RXT0);
    check(came(0), "masked at the device (IMC): not taken");
    set(IMS, RXT0);
    check(came(1), "unmasked there (IMS): taken");
    by_mask = true;
    set(ICS, RXT0);
    by_mask = false;
    check(came(1) && !pic_irr(irq), "IMC takes the line down, too");
    set(IMS, RXT0);
    check(came(1), "and what was pending comes with IMS");
    cli();
    set(ICS, RXT0);
    check(came(0), "IF off: not taken");
    sti();
    check(came(1), "IF on: taken");
}

static void test_level(void)
{
    keep = 3;
    set(ICS, RXT0);
    check(came(4), "level-triggered: comes again until the line goes down");
    cli();
    set(ICS, RXT0);
    get(ICR);
    sti();
    check(came(0), "gone before it was taken: none, and no spurious one");
    pci_set(0x04, 7 | 1u << 10);
    set(ICS, RXT0);
    check(came(0), "PCI: Interrupt Disable");
    pci_set(0x04, 7);
    check(came(1), "PCI: and enabled again");
}

static void set_cr8(uint64_t v)
{
    __asm__ volatile("movq %0, %%cr8" : : "r"(v) : "memory");
}

/* There is no local APIC for it to speak to; systems write it all the same. */
static void test_priority(void)
{
    set_cr8(15);
    set(ICS, RXT0);
    check(came(1), "CR8 holds up none that comes from the controllers");
    set_cr8(0);
    check(came(0), "and may be lowered again");
}

static void test_throttle(void)
{
    set(ITR, 0xFFFF);
    for (unsigned i = 0; i < 64; i++) {
        set(ICS, RXT0);
        if (taken != i + 1)
            break;
    }
    check(came(64), "ITR delays nothing: nobody has asked for it");
    set(ITR, 0);
}

static void test_link(void)
{
    set(IMS, LSC);
    causes = 0;
    cli();
    set(MDIC, 1u << 26 | 1u << 21 | 0u << 16 | 1u << 12 | 1u << 9); /* negotiate anew */
    sti_hlt();
    check(came(1) && causes == LSC, "the link has changed: taken, and it ends HLT");
}

static void user(uint64_t n)
{
    unsigned before = taken;

    for (unsigned i = 0; i < n; i++)
        set(ICS, RXT0);
    if (taken - before == n)
        __asm__ volatile("ud2");
    for (;;)
        __builtin_ia32_pause();
}

static int line(void)
{
    test_masks();
    test_level();
    test_priority();
    test_throttle();
    test_link();
    set(IMS, ALL);
    cli();
    user_run(user, 100);
    check(came(100), "taken from a program at CPL 3, too");
    check(!foreign && !empty, "none of another input, none without a cause");
    return 0;
}

/* ---- frames ---- */

static void begin(void)
{
    for (unsigned i = 0; i < RING; i++)
        rx[i].addr = (uintptr_t)rx_buf[i];
    for (unsigned i = 0; i < RING; i++) {
        memset(tx_buf[i], 0, SIZE);
        memset(tx_buf[i], 0xFF, 6);
        tx_buf[i][6] = 0x52;
        tx_buf[i][12] = 0x88; /* local experiment 1 */
        tx_buf[i][13] = 0xB5;
    }
    set(CTRL, get(CTRL) | 1u << 6);
    set(RDBAL, (uint32_t)(uintptr_t)rx);
    set(RDLEN, sizeof(rx));
    set(RDH, 0);
    set(RDT, RING - 1);
    set(TDBAL, (uint32_t)(uintptr_t)tx);
    set(TDLEN, sizeof(tx));
    set(TDH, 0);
    set(TDT, 0);
    set(TCTL, 1u << 1 | 1u << 3);
    set(RCTL, 1u << 1 | 1u << 3 | 1u << 15 | 1u << 26); /* EN, UPE, BAM, SECRC */
}

static unsigned sent, got;

static void send(void)
{
    volatile struct desc *d = &tx[sent % RING];

    memcpy(&tx_buf[sent % RING][14], &sent, sizeof(sent));
    d->addr = (uintptr_t)tx_buf[sent % RING];
    d->len = SIZE;
    d->status = 0;
    d->cmd = 0x0B; /* EOP, IFCS, RS */
    __asm__ volatile("" ::: "memory");
    set(TDT, ++sent % RING);
}

/* Takes what is there; how many frames.  They come in order, and so none is missing. */
static unsigned drain(void)
{
    static unsigned next;
    unsigned n = 0, number;

    for (; rx[next % RING].status & 1; n++) {
        memcpy(&number, &rx_buf[next % RING][14], sizeof(number));
        if (number != got)
            panic("frame %u, not %u\n", number, got);
        got++;
        rx[next % RING].status = 0;
        set(RDT, next++ % RING);
    }
    return n;
}

/* The peer may not be there yet, and then it misses frames.  Without interrupts. */
static void meet(void)
{
    unsigned number = 0;

    for (unsigned i = 0; !(rx[0].status & 1); i++) {
        if (i == MEET_ROUNDS)
            panic("nobody sends frames back\n");
        if (sent < RING - 1)
            send();
        vreg_set(VREG_WAIT, MEET_NS);
    }
    memcpy(&number, &rx_buf[0][14], sizeof(number));
    got = number; /* those before it are lost, those behind it are on their way */
    while (got < sent)
        if (!drain())
            vreg_set(VREG_WAIT, MEET_NS);
    get(ICR);
}

/* Nothing but an interrupt ends the sleep, so one that is lost is a machine that stands still. */
static int frames(unsigned count, unsigned window)
{
    unsigned in_vain = 0, end;
    volatile unsigned *all = &taken;

    begin();
    meet();
    end = got + count;
    pic_mask(irq, false);
    set(IMS, ALL);
    while (got < end) {
        unsigned before = *all;

        while (sent < end && sent - got < window)
            send();
        if (drain())
            continue;
        cli();
        if (*all == before)
            sti_hlt();
        else
            sti();
        in_vain += *all == before;
    }
    check(got == end, "every frame came back, in order");
    check(!in_vain, "nothing but interrupts ends HLT");
    check(!foreign && !empty, "none of another input, none without a cause");
    print("%u interrupts for %u frames\n", *all, count);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long n, window;

    if (argc == 2 && strcmp(argv[1], "fault") == 0)
        __asm__ volatile("ud2");
    if (!open())
        failed++;
    else if (argc == 2 && strcmp(argv[1], "line") == 0)
        line();
    else if (argc == 4 && strcmp(argv[1], "frames") == 0 && fmt_parse(argv[2], &n) &&
             fmt_parse(argv[3], &window) && window > 0 && window < RING)
        frames((unsigned)n, (unsigned)window);
    else
        panic("usage: irqtest line|frames N WINDOW|fault\n");
    print("%u passed, %u failed\n", passed, failed);
    print_flush();
    vreg_set(VREG_EXIT, (failed ? 1 : 0) | (uint64_t)VREG_EXIT_MACHINE << 32);
    return 0;
}
