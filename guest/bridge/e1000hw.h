/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the driver uses of the 82540EM, from the manual's chapters 4 (PCI), 3 (descriptors) and 13
 * (registers).  The names are the driver's own on purpose: the model in netdev/ has a list of its
 * own, and tests let the two meet.
 */
#ifndef BRIDGE_E1000HW_H
#define BRIDGE_E1000HW_H

#include <stdint.h>

/* PCI configuration space (mechanism 1). */
#define PCI_ADDR       0xCF8u
#define PCI_DATA       0xCFCu
#define PCI_ENABLE     0x80000000u
#define PCI_ID_82540EM 0x100E8086u
#define PCI_COMMAND    0x04u
#define PCI_BAR0       0x10u
#define PCI_CMD_MEM    0x2u
#define PCI_CMD_MASTER 0x4u
#define PCI_CMD_NOINTX 0x400u

enum hw_reg {
    HW_CTRL = 0x0000,
    HW_STATUS = 0x0008,
    HW_EERD = 0x0014,
    HW_FCAL = 0x0028,
    HW_FCAH = 0x002C,
    HW_FCT = 0x0030,
    HW_FCTTV = 0x0170,
    HW_ICR = 0x00C0,
    HW_ITR = 0x00C4,
    HW_IMS = 0x00D0,
    HW_IMC = 0x00D8,
    HW_RCTL = 0x0100,
    HW_TCTL = 0x0400,
    HW_TIPG = 0x0410,
    HW_RDBAL = 0x2800,
    HW_RDBAH = 0x2804,
    HW_RDLEN = 0x2808,
    HW_RDH = 0x2810,
    HW_RDT = 0x2818,
    HW_RDTR = 0x2820,
    HW_TDBAL = 0x3800,
    HW_TDBAH = 0x3804,
    HW_TDLEN = 0x3808,
    HW_TDH = 0x3810,
    HW_TDT = 0x3818,
    HW_TIDV = 0x3820,
    HW_MTA = 0x5200,
    HW_RAL0 = 0x5400,
    HW_RAH0 = 0x5404,
};

#define HW_CTRL_FD   (1u << 0)
#define HW_CTRL_ASDE (1u << 5)
#define HW_CTRL_SLU  (1u << 6)
#define HW_CTRL_RST  (1u << 26)

#define HW_STATUS_LU (1u << 1)

#define HW_EERD_START 0x01u
#define HW_EERD_DONE  0x10u

#define HW_INT_TXDW   0x001u
#define HW_INT_LSC    0x004u
#define HW_INT_RXDMT0 0x010u
#define HW_INT_RXO    0x040u
#define HW_INT_RXT0   0x080u

/* 2,048-byte buffers (BSIZE 0), multicast by bits 47:36 (MO 0), no FCS in the buffer. */
#define HW_RCTL_SETUP ((1u << 1) | (1u << 15) | (1u << 26)) /* EN, BAM, SECRC */
/* EN, PSP, collision threshold 15, collision distance 64 (13.4.33). */
#define HW_TCTL_SETUP ((1u << 1) | (1u << 3) | (0x0Fu << 4) | (0x40u << 12))
/* IPGT 10, IPGR1 8, IPGR2 6: what 13.4.34 asks for on copper. */
#define HW_TIPG_SETUP (10u | (8u << 10) | (6u << 20))

#define HW_RAH_AV (1u << 31)

/* Receive descriptor: status and errors are bytes 12 and 13. */
#define HW_RX_DD  0x01u
#define HW_RX_EOP 0x02u

/* Legacy transmit descriptor: the upper word's length 15:0, CMD 31:24, STA 35:32. */
#define HW_TX_EOP  (1ull << 24)
#define HW_TX_IFCS (1ull << 25)
#define HW_TX_RS   (1ull << 27)
#define HW_TX_DD   (1ull << 32)

struct e1000_desc {
    uint64_t addr;
    uint64_t rest;
};
_Static_assert(sizeof(struct e1000_desc) == 16, "3.2.3, 3.3.3");

#endif
