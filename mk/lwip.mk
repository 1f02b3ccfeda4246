# SPDX-License-Identifier: BSD-2-Clause
#
# lwIP for the bridge (guest/bridge): Debian's source package, fetched by mk/lwip.sh, compiled with
# our options (guest/bridge/lwip/).  `make` needs no network, so it builds the bridge only where the
# sources are there already.  Goals that can use a bridge fetch them before anything else; where
# that fails mk/lwip.sh says so, and the tests that need a bridge say SKIP.

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

# Remaking an included file comes first, and make then starts over with the sources there.
LWIP_TRIED := $(B)/deps-lwip.mk
ifneq ($(filter test% ci-build bench explore% stock-image dual-host triple-host bridge,$(MAKECMDGOALS)),)
-include $(LWIP_TRIED)
endif
$(LWIP_TRIED): mk/lwip.sh
	@mkdir -p $(@D)
	@sh mk/lwip.sh $(LWIP) && touch $@ || :

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

-include $(BRIDGE_OBJ:.o=.d)

# ---- its network on the host, for a test (make test, where lwIP is there) ----------------------

NET_TEST := $(B)/unit/test_bridge_net
NET_OBJ  := $(B)/asan/tests/net/test_bridge_net.o $(B)/asan/guest/bridge/e1000drv.o \
	$(B)/asan/guest/bridge/e1000ring.o $(B)/asan/guest/bridge/net.o \
	$(NETDEV_SRC:%.c=$(B)/asan/%.o) $(LWIP_NAMES:%=$(B)/asan/lwip/%.o)

$(B)/asan/guest/bridge/net.o: guest/bridge/net.c $(LWIP_STAMP)
	@mkdir -p $(@D)
	$(Q)gcc $(TEST_CC) $(LWIP_INC) $(ASAN_FLAGS) -c -o $@ $<

$(B)/asan/lwip/%.o: $(LWIP)/src/%.c $(LWIP_STAMP)
	@mkdir -p $(@D)
	$(Q)gcc $(TEST_CC) $(LWIP_WARN) $(LWIP_INC) $(ASAN_FLAGS) -c -o $@ $<

$(NET_TEST): $(NET_OBJ)
	@mkdir -p $(@D)
	$(Q)gcc $(ASAN_FLAGS) -o $@ $^ $(TEST_LIBS)

# ---- tests of links ----------------------------------------------------------------------------

LOSSY     := $(B)/static/lossy
NEIGHBOUR := $(B)/static/neighbour

# Static, like all that the machine under QEMU runs.
$(LOSSY): tests/net/lossy.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(WARN) -O2 -D_GNU_SOURCE -static -o $@ $<

test test-system test-asan test-tsan: $(LOSSY) $(NEIGHBOUR)

## make test-link-long  tests/system/link.sh with 100,000 messages through each bad network, 100 kills
##                      (hours where others run; LINK_PARTS="loss all kills", LINK_MESSAGES, LINK_KILLS)
.PHONY: test-link-long
test-link-long: $(SEMPERVM_NEEDS) $(LOSSY) $(NEIGHBOUR)
	@LINK_FLOOD=20000 LINK_SENDERS=16 LINK_MESSAGES=$${LINK_MESSAGES:-3125} LINK_KILLS=$${LINK_KILLS:-100} \
		NODES_LIMIT=7000 WAIT_LIMIT=300 TEST_TIMEOUT=60000 sh tests/run script:tests/system/link.sh

# ---- the driver on QEMU's e1000 ----------------------------------------------------------------

BARE      := $(B)/bare/bridge
BARE_OBJ  := $(B)/bare/bare-start.o $(B)/bare/bare.o $(addprefix $(GUEST_B)/obj/,bridge/e1000drv.o \
	bridge/e1000ring.o bridge/net.o lib/string.o lib/fmt.o $(LWIP_NAMES:%=lwip/%.o))

$(NEIGHBOUR): tests/net/neighbour.c tests/net/frames.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(WARN) -O2 -D_GNU_SOURCE -static -o $@ $<

$(B)/bare/bare.o: tests/net/bare.c $(LWIP_STAMP)
	@mkdir -p $(@D)
	$(Q)$(GUESTCC) $(BRIDGE_INC) -mno-red-zone -c -o $@ $<

$(B)/bare/bare-start.o: tests/net/bare.S
	@mkdir -p $(@D)
	$(Q)$(GUESTCC) -c -o $@ $<

$(BARE): $(BARE_OBJ) tests/net/bare.ld
	$(Q)$(GUESTLD) -T tests/net/bare.ld -Wl,--no-warn-rwx-segments -o $@ $(BARE_OBJ)

## make test-driver-qemu  the bridge's driver and lwIP on QEMU's own e1000
.PHONY: test-driver-qemu
test-driver-qemu: $(NEIGHBOUR) $(if $(wildcard $(LWIP_STAMP)),$(BARE)) | $(DEPS_STOCK)
	@sh tests/run script:tests/net/driver-qemu.sh
