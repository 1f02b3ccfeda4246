/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of the 82540EM's registers and bits, after the datasheet.  Freestanding, so that a driver
 * can use them too.
 */
#ifndef E1000_H
#define E1000_H

#include <stdint.h>

enum {
    E_CTRL = 0x0000,
    E_STATUS = 0x0008,
    E_EECD = 0x0010,
    E_EERD = 0x0014,
    E_MDIC = 0x0020,
    E_VET = 0x0038,
    E_ICR = 0x00C0,
    E_ITR = 0x00C4,
    E_ICS = 0x00C8,
    E_IMS = 0x00D0,
    E_IMC = 0x00D8,
    E_RCTL = 0x0100,
    E_TCTL = 0x0400,
    E_RDBAL = 0x2800,
    E_RDBAH = 0x2804,
    E_RDLEN = 0x2808,
    E_RDH = 0x2810,
    E_RDT = 0x2818,
    E_TDBAL = 0x3800,
    E_TDBAH = 0x3804,
    E_TDLEN = 0x3808,
    E_TDH = 0x3810,
    E_TDT = 0x3818,
    E_STATS = 0x4000,
    E_MPC = 0x4010,
    E_PRC64 = 0x405C,
    E_GPRC = 0x4074,
    E_BPRC = 0x4078,
    E_MPRC = 0x407C,
    E_GPTC = 0x4080,
    E_GORCL = 0x4088,
    E_GOTCL = 0x4090,
    E_RNBC = 0x40A0,
    E_RUC = 0x40A4,
    E_ROC = 0x40AC,
    E_TORL = 0x40C0,
    E_TOTL = 0x40C8,
    E_TPR = 0x40D0,
    E_TPT = 0x40D4,
    E_PTC64 = 0x40D8,
    E_MPTC = 0x40F0,
    E_BPTC = 0x40F4,
    E_TSCTC = 0x40F8,
    E_TSCTFC = 0x40FC,
    E_RXCSUM = 0x5000,
    E_MTA = 0x5200,
    E_RA = 0x5400,
    E_VFTA = 0x5600,
};

#define CTRL_SLU     (1u << 6)
#define CTRL_RST     (1u << 26)
#define CTRL_VME     (1u << 30)
#define CTRL_PHY_RST (1u << 31)

#define STATUS_LU (1u << 1)

#define EECD_SK   0x001u
#define EECD_CS   0x002u
#define EECD_DI   0x004u
#define EECD_DO   0x008u
#define EECD_FWE  0x030u
#define EECD_REQ  0x040u
#define EECD_GNT  0x080u
#define EECD_PRES 0x100u

#define EERD_START 0x01u
#define EERD_DONE  0x10u

#define MDIC_WRITE  (1u << 26)
#define MDIC_READ   (2u << 26)
#define MDIC_OP     (3u << 26)
#define MDIC_READY  (1u << 28)
#define MDIC_INT_EN (1u << 29)
#define MDIC_ERROR  (1u << 30)

#define PHY_ID1 0x0141u
#define PHY_ID2 0x0C20u

#define BMCR_RESET    0x8000u
#define BMCR_LOOPBACK 0x4000u
#define BMCR_AN_EN    0x1000u
#define BMCR_RESTART  0x0200u
#define BMSR_AN_DONE  0x0020u
#define BMSR_LINK     0x0004u
#define LPAR_ACK      0x4000u
#define PSSR_LINK     0x0400u

#define ICR_TXDW   0x001u
#define ICR_TXQE   0x002u
#define ICR_LSC    0x004u
#define ICR_RXDMT0 0x010u
#define ICR_RXO    0x040u
#define ICR_RXT0   0x080u
#define ICR_MDAC   0x200u

#define RCTL_EN          (1u << 1)
#define RCTL_SBP         (1u << 2)
#define RCTL_UPE         (1u << 3)
#define RCTL_MPE         (1u << 4)
#define RCTL_LPE         (1u << 5)
#define RCTL_LBM         (3u << 6)
#define RCTL_RDMTS_SHIFT 8
#define RCTL_MO_SHIFT    12
#define RCTL_BAM         (1u << 15)
#define RCTL_BSIZE_SHIFT 16
#define RCTL_VFE         (1u << 18)
#define RCTL_BSEX        (1u << 25)
#define RCTL_SECRC       (1u << 26)

#define TCTL_EN  (1u << 1)
#define TCTL_PSP (1u << 3)

#define RAH_AV (1u << 31)

/* Descriptors: 16 bytes, little endian, here as two 64-bit words. */
#define TXD_EOP    (1u << 24) /* in the upper word's low half, with the length */
#define TXD_IC     (1u << 26) /* legacy */
#define TXD_TSE    (1u << 26) /* data and context */
#define TXD_RS     (1u << 27)
#define TXD_RPS    (1u << 28)
#define TXD_DEXT   (1u << 29)
#define TXD_VLE    (1u << 30)
#define TXD_DTYP   (0xFu << 20)
#define TXD_DTYP_D (1u << 20)
#define TXC_TCP    (1u << 24)
#define TXC_IP     (1u << 25)
#define TXP_IXSM   0x1u
#define TXP_TXSM   0x2u
#define TXD_DD     0x01u

#define RXD_DD    0x01u
#define RXD_EOP   0x02u
#define RXD_IXSM  0x04u
#define RXD_VP    0x08u
#define RXD_TCPCS 0x20u
#define RXD_IPCS  0x40u
#define RXD_TCPE  0x20u /* errors byte */
#define RXD_IPE   0x40u

#define RXCSUM_PCSS  0x0FFu
#define RXCSUM_IPOFL 0x100u
#define RXCSUM_TUOFL 0x200u

#endif
