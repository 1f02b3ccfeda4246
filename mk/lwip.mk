# SPDX-License-Identifier: BSD-2-Clause
#
# lwIP for the bridge (guest/bridge): Debian's source package, fetched by mk/lwip.sh, compiled with
# our options (guest/bridge/lwip/).  `make` needs no network, so it builds the bridge only where the
# sources are there already; whatever needs a bridge asks for $(BRIDGE_NEEDS) first.

LWIP       := $(B)/lwip
LWIP_STAMP := $(LWIP)/.unpacked
LWIP_NAMES := core/def core/inet_chksum core/init core/ip core/mem core/memp core/netif core/pbuf \
	core/stats core/sys core/timeouts core/udp \
	core/ipv4/etharp core/ipv4/icmp core/ipv4/ip4 core/ipv4/ip4_addr core/ipv4/ip4_frag \
	core/ipv6/ethip6 core/ipv6/icmp6 core/ipv6/inet6 core/ipv6/ip6 core/ipv6/ip6_addr \
	core/ipv6/ip6_frag core/ipv6/nd6 netif/ethernet
LWIP_SRC := $(LWIP_NAMES:%=$(LWIP)/src/%.c)
LWIP_INC := -Iguest/bridge/lwip -I$(LWIP)/src/include
# Warnings are their authors' business.
LWIP_WARN := -Wno-error -Wno-all -Wno-extra -Wno-shadow -Wno-missing-prototypes

$(LWIP_STAMP): mk/lwip.sh
	@sh mk/lwip.sh $(LWIP)
$(LWIP_SRC): $(LWIP_STAMP) ;

# ---- the bridge ------------------------------------------------------------------------------

BRIDGE_SRC := $(wildcard guest/bridge/*.c)
BRIDGE_OBJ := $(BRIDGE_SRC:guest/%.c=$(GUEST_B)/obj/%.o) $(LWIP_NAMES:%=$(GUEST_B)/obj/lwip/%.o)
BRIDGE     := $(GUEST_B)/bridge
BRIDGE_INC := -Iguest/bridge/libc $(LWIP_INC)

$(GUEST_B)/obj/bridge/%.o: guest/bridge/%.c $(LWIP_STAMP)
	@mkdir -p $(@D)
	$(Q)$(GUESTCC) $(BRIDGE_INC) -c -o $@ $<

$(GUEST_B)/obj/lwip/%.o: $(LWIP)/src/%.c $(LWIP_STAMP)
	@mkdir -p $(@D)
	$(Q)$(GUESTCC) $(LWIP_WARN) $(BRIDGE_INC) -c -o $@ $<

# It has a PE for itself, so its address may be any program's.
$(BRIDGE): $(BRIDGE_OBJ) $(GUEST_B)/obj/lib/crt.o $(GUEST_LIB) guest/lib/link.ld
	$(Q)$(GUESTLD) -T guest/lib/link.ld -Wl,--defsym=link_base=0x200000 \
	    -o $@ $(BRIDGE_OBJ) $(GUEST_B)/obj/lib/crt.o $(GUEST_LIB)

# Part of `make` where that needs no network.
GUEST_BINS += $(if $(wildcard $(LWIP_STAMP)),$(BRIDGE))

## make bridge          the bridge PE's program; fetches lwIP's sources (Debian's package) first
.PHONY: bridge
bridge: $(BRIDGE)

# For tests: builds it if it can be built; if not, says so, and the tests that need it say SKIP.
.PHONY: bridge-if-possible
bridge-if-possible:
	@if sh mk/lwip.sh $(LWIP); then $(MAKE) --no-print-directory $(BRIDGE); fi

-include $(BRIDGE_OBJ:.o=.d)
