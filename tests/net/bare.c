/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge's driver and network on a bare PC, for QEMU's own e1000 (tests/net/driver-qemu.sh): an
 * echo at 10.83.0.1 and fd00::1, alone on the machine.  Says on the serial line what it found, and
 * once a second, while frames come, how many there were.
 */
#include "../../guest/bridge/net.h"

#include "fmt.h"
#include "str.h"

#define SERIAL    0x3F8u
#define PIT_HZ    1193182u
#define PIT_TICKS 59659u /* 50 ms */
#define NS_PER_S  1000000000ull

void bare_main(void);
_Noreturn void net_broken(const char *what);
int atoi(const char *s);

static uint8_t dma[E1000_DMA_SIZE] __attribute__((aligned(4096)));
static struct e1000 nic;
static uint64_t tsc_hz;

static void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "d"(port));
}

static uint8_t inb(uint16_t port)
{
    uint8_t v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "d"(port));
    return v;
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, format);
    fmt_vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    for (const char *s = text; *s; s++)
        outb(SERIAL, (uint8_t)*s);
}

_Noreturn void net_broken(const char *what)
{
    say("FAIL lwIP: %s\n", what);
    for (;;)
        __asm__ volatile("hlt");
}

int atoi(const char *s)
{
    int v = 0;

    while (*s >= '0' && *s <= '9' && v < 100000)
        v = v * 10 + (*s++ - '0');
    return v;
}

/* ---- time: the TSC, measured against channel 2 of the PIT ---- */

static uint64_t tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return low | (uint64_t)high << 32;
}

static void measure_tsc(void)
{
    uint64_t start;

    outb(0x61, (inb(0x61) & 0xFC) | 1); /* gate on, no sound */
    outb(0x43, 0xB0);                   /* channel 2, low and high byte, mode 0 */
    outb(0x42, PIT_TICKS & 0xFF);
    outb(0x42, PIT_TICKS >> 8);
    start = tsc();
    while (!(inb(0x61) & 0x20))
        ;
    tsc_hz = (tsc() - start) * PIT_HZ / PIT_TICKS;
}

static uint64_t time_ns(void)
{
    uint64_t t = tsc();

    return t / tsc_hz * NS_PER_S + t % tsc_hz * NS_PER_S / tsc_hz;
}

/* ---- the bus ---- */

static uint32_t port_in(void *arg, uint16_t port)
{
    uint32_t v;

    (void)arg;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "d"(port));
    return v;
}

static void port_out(void *arg, uint16_t port, uint32_t value)
{
    (void)arg;
    __asm__ volatile("outl %0, %1" : : "a"(value), "d"(port));
}

static uint32_t reg_read(void *arg, uint64_t addr)
{
    (void)arg;
    return *(volatile uint32_t *)addr;
}

static void reg_write(void *arg, uint64_t addr, uint32_t value)
{
    (void)arg;
    *(volatile uint32_t *)addr = value;
}

static void delay(void *arg, uint64_t ns)
{
    uint64_t end = time_ns() + ns;

    (void)arg;
    while (time_ns() < end)
        __builtin_ia32_pause();
}

static bool refuse(void *arg, const struct net_addr *from, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)from;
    (void)data;
    (void)len;
    return false;
}

static void loop(void)
{
    uint64_t report = time_ns() + NS_PER_S, seen = 0;
    bool link = nic.link;

    for (;;) {
        net_time(time_ns());
        net_poll(64);
        net_timers();
        e1000_tx_flush(&nic);
        e1000_irq(&nic);
        if (nic.link != link)
            say("link %s\n", nic.link ? "up" : "down");
        link = nic.link;
        if (e1000_watch(&nic, time_ns()))
            say("FAIL the device hung\n");
        if (time_ns() < report)
            continue;
        report += NS_PER_S;
        if (seen != nic.stats.rx_frames)
            say("frames: %llu in, %llu out, %llu doorbells, %llu bad, %llu overruns, %llu full, "
                "%llu dropped by lwIP\n",
                (unsigned long long)nic.stats.rx_frames, (unsigned long long)nic.stats.tx_frames,
                (unsigned long long)nic.stats.doorbells, (unsigned long long)nic.stats.rx_bad,
                (unsigned long long)nic.stats.overruns, (unsigned long long)nic.stats.tx_full,
                (unsigned long long)net_dropped());
        seen = nic.stats.rx_frames;
    }
}

void bare_main(void)
{
    static const struct e1000_bus bus = {.port_in = port_in,
                                         .port_out = port_out,
                                         .reg_read = reg_read,
                                         .reg_write = reg_write,
                                         .delay = delay};
    struct net_config c = {.nic = &nic, .port = 21328, .receive = refuse, .random = 1};
    const char *why = "";

    measure_tsc();
    if (!e1000_open(&nic, &bus, dma, (uintptr_t)dma, &why)) {
        say("FAIL %s\n", why);
        return;
    }
    say("82540EM at %llx, %02x:%02x:%02x:%02x:%02x:%02x, link %s\n", (unsigned long long)nic.bar,
        nic.mac[0], nic.mac[1], nic.mac[2], nic.mac[3], nic.mac[4], nic.mac[5],
        nic.link ? "up" : "down");
    net_parse("10.83.0.1", &c.ip4);
    net_parse("fd00::1", &c.ip6);
    if (!net_open(&c, time_ns())) {
        say("FAIL lwIP has no memory\n");
        return;
    }
    say("ready\n");
    loop();
}
