/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP as the bridge uses it: one interface, one thread, UDP over IPv4 and IPv6.  Everything that
 * strangers can fill (queues, tables, reassembly) has a bound here.
 */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_TIMERS          1
#define LWIP_SINGLE_NETIF    1
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_TCP             0
#define LWIP_RAW             0
#define LWIP_DHCP            0
#define LWIP_AUTOIP          0
#define LWIP_IGMP            0
#define LWIP_DNS             0
#define LWIP_UDP             1
#define LWIP_ICMP            1
#define LWIP_BROADCAST_PING  0
#define LWIP_MULTICAST_PING  0
#define LWIP_NETIF_LOOPBACK  0
#define LWIP_HAVE_LOOPIF     0
#define LWIP_STATS           1
#define LWIP_STATS_LARGE     1
#define LWIP_ASSERT_CORE_LOCKED()

/* Memory: 1,514-byte frames fit one buffer, so that most datagrams lie in one piece. */
#define MEM_ALIGNMENT     8
#define MEM_SIZE          (256 * 1024)
#define PBUF_POOL_SIZE    192
#define PBUF_POOL_BUFSIZE 1536
#define MEMP_NUM_PBUF     256
#define MEMP_NUM_UDP_PCB  4

/* Addresses of neighbours. */
#define ARP_TABLE_SIZE                127
#define ARP_QUEUEING                  1
#define ARP_QUEUE_LEN                 8
#define MEMP_NUM_ARP_QUEUE            64
#define ETHARP_SUPPORT_STATIC_ENTRIES 1
#define ETHARP_SUPPORT_VLAN           0

/* IPv4: fragments of strangers give way to newer ones, and are gone after 3 s. */
#define LWIP_IPV4            1
#define IP_FORWARD           0
#define IP_OPTIONS_ALLOWED   1
#define IP_FRAG              1
#define IP_REASSEMBLY        1
#define IP_REASS_MAXAGE      3
#define IP_REASS_MAX_PBUFS   64
#define IP_REASS_FREE_OLDEST 1
#define MEMP_NUM_REASSDATA   32
#define MEMP_NUM_FRAG_PBUF   64

/* IPv6: addresses are given, not negotiated; nobody routes. */
#define LWIP_IPV6                     1
#define IPV6_FRAG_COPYHEADER          1
#define LWIP_IPV6_FRAG                1
#define LWIP_IPV6_REASS               1
#define IPV6_REASS_MAXAGE             3
#define LWIP_IPV6_MLD                 0
#define LWIP_IPV6_AUTOCONFIG          0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
#define LWIP_IPV6_FORWARD             0
#define LWIP_ND6_ALLOW_RA_UPDATES     0
#define LWIP_ND6_NUM_NEIGHBORS        64
#define LWIP_ND6_NUM_DESTINATIONS     64
#define LWIP_ND6_QUEUEING             1
#define MEMP_NUM_ND6_QUEUE            32

#endif
