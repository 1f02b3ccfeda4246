/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: netdev */
/* PCI configuration, reset values, EEPROM both ways, PHY, interrupts, I/O window, link, throttling.
 */
#include "e1000_fixture.h"

START_TEST(pci)
{
    uint64_t addr, size;
    uint32_t v;

    ck_assert_uint_eq(cfg_read(0), 0x100E8086);
    ck_assert_uint_eq(cfg_read(8), 0x02000003);
    ck_assert_uint_eq(cfg_read(0x3C) >> 8 & 0xFF, 1);
    cfg_write(0x10, ~0u);
    ck_assert_uint_eq(cfg_read(0x10), 0xFFFE0000);
    cfg_write(0x14, ~0u);
    ck_assert_uint_eq(cfg_read(0x14), 0xFFFFFFC1);
    cfg_write(0x10, 0xFEB00000);
    ck_assert(netdev_window(n, 0, &addr, &size));
    ck_assert_uint_eq(addr, 0xFEB00000);
    ck_assert_uint_eq(size, 0x20000);
    cfg_write(4, 0);
    ck_assert(!netdev_window(n, 0, &addr, &size));
    /* By bytes and words; another device; ports that are not ours. */
    netdev_port_write(n, 0xCF8, 4, 0x80002000);
    netdev_port_read(n, 0xCFE, 2, &v);
    ck_assert_uint_eq(v, 0x100E);
    netdev_port_read(n, 0xCFD, 1, &v);
    ck_assert_uint_eq(v, 0x80);
    netdev_port_write(n, 0xCF8, 4, 0x80002800);
    netdev_port_read(n, 0xCFC, 4, &v);
    ck_assert_uint_eq(v, ~0u);
    ck_assert(!netdev_port_read(n, 0x80, 1, &v));
}
END_TEST

START_TEST(reset_values)
{
    static const uint32_t want[][2] = {{E_CTRL, 0x00140240},   {E_STATUS, 0x80080783},
                                       {E_VET, 0x8100},        {0x0E00, 0x602},
                                       {0x1000, 0x00100030},   {E_RA, 0x12005452},
                                       {E_RA + 4, 0x80005634}, {0x5820, 0x00222300},
                                       {E_TDLEN, 0},           {E_RCTL, 0}};

    wr(E_CTRL, CTRL_RST);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_uint_eq(rd(want[i][0]), want[i][1]);
    wr(E_TDLEN, ~0u);
    ck_assert_uint_eq(rd(E_TDLEN), 0xFFF80);
    wr(E_TDBAL, ~0u);
    ck_assert_uint_eq(rd(E_TDBAL), 0xFFFFFFF0);
    wr(E_STATUS, 0);
    ck_assert_uint_eq(rd(E_STATUS), 0x80080783);
    wr(0x7000, 5);
    ck_assert_uint_eq(rd(0x7000), 0);
    ck_assert_uint_eq(netdev_mmio_read(n, E_RA, 8), 0x8000563412005452ull);
    ck_assert_uint_eq(netdev_mmio_read(n, E_RA + 2, 1), 0x00);
    ck_assert_uint_eq(netdev_mmio_read(n, E_RA + 2, 2), 0x1200);
}
END_TEST

/* Linux' way: REQ, CS, nine bits in, sixteen out. */
static uint16_t microwire(unsigned word)
{
    unsigned bits = 6u << 6 | word, value = 0;
    uint32_t pins = EECD_REQ;

    wr(E_EECD, pins);
    ck_assert(rd(E_EECD) & EECD_GNT);
    wr(E_EECD, pins |= EECD_CS);
    for (unsigned i = 9; i-- > 0;) {
        uint32_t di = bits >> i & 1 ? EECD_DI : 0;

        wr(E_EECD, pins | di);
        wr(E_EECD, pins | di | EECD_SK);
        wr(E_EECD, pins | di);
    }
    for (unsigned i = 0; i < 16; i++) {
        wr(E_EECD, pins | EECD_SK);
        value = value << 1 | (rd(E_EECD) & EECD_DO ? 1 : 0);
        wr(E_EECD, pins);
    }
    wr(E_EECD, 0);
    return (uint16_t)value;
}

START_TEST(eeprom)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < 64; i++) {
        uint32_t v;

        wr(E_EERD, i << 8 | EERD_START);
        v = rd(E_EERD);
        ck_assert(v & EERD_DONE);
        sum += v >> 16;
        ck_assert_uint_eq(microwire(i), v >> 16);
    }
    ck_assert_uint_eq(sum & 0xFFFF, 0xBABA);
    ck_assert_uint_eq(microwire(0), 0x5452);
    ck_assert_uint_eq(microwire(2), 0x5634);
    ck_assert_uint_eq(microwire(0x0D), 0x100E);
    ck_assert(!(rd(E_EECD) & EECD_GNT));
}
END_TEST

static uint32_t mdic(uint32_t op, unsigned phy, unsigned reg, unsigned value)
{
    wr(E_MDIC, op | phy << 21 | reg << 16 | value);
    return rd(E_MDIC);
}

START_TEST(phy)
{
    ck_assert_uint_eq(mdic(MDIC_READ, 1, 2, 0) & 0xFFFF, PHY_ID1);
    ck_assert_uint_eq(mdic(MDIC_READ, 1, 3, 0) & 0xFFFF, PHY_ID2);
    ck_assert_uint_eq(mdic(MDIC_READ, 1, 17, 0) & 0xFFFF, 0xAC00);
    ck_assert(mdic(MDIC_READ, 2, 2, 0) & MDIC_ERROR);
    ck_assert(mdic(MDIC_READ, 1, 31, 0) & MDIC_ERROR);
    ck_assert(mdic(MDIC_WRITE, 1, 2, 7) & MDIC_ERROR);
    mdic(MDIC_WRITE, 1, 4, 0x0123);
    ck_assert_uint_eq(mdic(MDIC_READ, 1, 4, 0) & 0xFFFF, 0x0123);
    ck_assert(rd(E_MDIC) & MDIC_READY);
    rd(E_ICR);
    mdic(MDIC_READ | MDIC_INT_EN, 1, 1, 0);
    ck_assert_uint_eq(rd(E_ICR), ICR_MDAC);
    mdic(MDIC_WRITE, 1, 0, BMCR_AN_EN | BMCR_RESTART);
    ck_assert_uint_eq(rd(E_ICR), ICR_LSC);
    ck_assert(mdic(MDIC_READ, 1, 1, 0) & BMSR_AN_DONE);
    ck_assert_uint_eq(mdic(MDIC_READ, 1, 0, 0) & 0xFFFF, BMCR_AN_EN);
}
END_TEST

START_TEST(negotiation_takes_time)
{
    start((struct netdev_config){.autoneg_ns = 500});
    mdic(MDIC_WRITE, 1, 0, BMCR_AN_EN | BMCR_RESTART);
    ck_assert(!(rd(E_STATUS) & STATUS_LU));
    ck_assert_uint_eq(deadline, clock_ns + 500);
    netdev_tick(n);
    ck_assert(!(rd(E_STATUS) & STATUS_LU));
    clock_ns = deadline;
    netdev_tick(n);
    ck_assert(rd(E_STATUS) & STATUS_LU);
    ck_assert(rd(E_ICR) & ICR_LSC);
}
END_TEST

START_TEST(io_window)
{
    uint32_t v;

    wr(E_TDLEN, 128);
    ck_assert(netdev_port_write(n, IOBAR, 4, E_TDLEN));
    ck_assert(netdev_port_read(n, IOBAR + 4, 4, &v));
    ck_assert_uint_eq(v, 128);
    netdev_port_write(n, IOBAR, 4, E_CTRL);
    netdev_port_write(n, IOBAR + 4, 4, CTRL_RST);
    ck_assert_uint_eq(rd(E_TDLEN), 0);
    netdev_port_write(n, IOBAR, 4, E_TDT);
    ck_assert(netdev_port_read(n, IOBAR, 4, &v));
    ck_assert_uint_eq(v, E_TDT);
    cfg_write(4, 2);
    ck_assert(!netdev_port_read(n, IOBAR, 4, &v));
}
END_TEST

START_TEST(line_and_command)
{
    wr(E_IMS, ICR_LSC);
    wr(E_ICS, ICR_LSC);
    ck_assert(line);
    ck_assert(cfg_read(4) >> 16 & 8);
    cfg_write(4, 0x407);
    ck_assert(!line);
    cfg_write(4, 7);
    ck_assert(line);
    netdev_reset(n);
    ck_assert(!line);
}
END_TEST

START_TEST(throttling)
{
    wr(E_ITR, 1000);
    wr(E_IMS, 1);
    for (unsigned i = 0; i < 3; i++) {
        wr(E_ICS, 1);
        ck_assert(line); /* not throttled unless asked */
        rd(E_ICR);
    }
    start((struct netdev_config){.throttle = true});
    wr(E_ITR, 1000);
    wr(E_IMS, 1);
    wr(E_ICS, 1);
    ck_assert(line);
    rd(E_ICR);
    wr(E_ICS, 1);
    ck_assert(!line);
    ck_assert_uint_eq(deadline, clock_ns + 256000);
    clock_ns += 255999;
    netdev_tick(n);
    ck_assert(!line);
    clock_ns += 1;
    netdev_tick(n);
    ck_assert(line);
}
END_TEST

START_TEST(lazy_registers)
{
    ck_assert(netdev_mmio_lazy(E_TDBAL));
    ck_assert(!netdev_mmio_lazy(E_TDT));
    ck_assert(!netdev_mmio_lazy(E_ICR));
    ck_assert(!netdev_mmio_lazy(NETDEV_BAR0_SIZE));
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_test(t, pci);
    tcase_add_test(t, reset_values);
    tcase_add_test(t, eeprom);
    tcase_add_test(t, phy);
    tcase_add_test(t, negotiation_takes_time);
    tcase_add_test(t, io_window);
    tcase_add_test(t, line_and_command);
    tcase_add_test(t, throttling);
    tcase_add_test(t, lazy_registers);
}

int main(void)
{
    return run_all(fill);
}
