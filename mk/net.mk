# SPDX-License-Identifier: BSD-2-Clause
# The NIC against others: QEMU's model, deliberately broken copies of itself, foreign drivers.

NETDEV_MODEL := $(filter-out netdev/address.c netdev/backend_%.c netdev/pcap.c netdev/seal.c,\
	$(NETDEV_SRC))
QTEST_OBJ := $(patsubst %.c,$(B)/asan/%.o,$(wildcard tests/qtest/*.c) $(NETDEV_MODEL))

$(B)/qtest: $(QTEST_OBJ)
	@mkdir -p $(@D)
	$(Q)gcc $(ASAN_FLAGS) -o $@ $^

## make test-qtest      QEMU's e1000 and ours, the same scripts: QTEST_COUNT (100), QTEST_SEED (1),
##                      QTEST_SECONDS (120)
.PHONY: test-qtest
test-qtest: $(B)/qtest | $(DEPS_STOCK)
	@TEST_TIMEOUT=$$(($${QTEST_SECONDS:-120} + 300)) sh tests/run script:tests/qtest/qtest.sh

## make test-mutants    the NIC's unit tests against deliberately broken copies of it
.PHONY: test-mutants
test-mutants: $(DEPS_TEST)
	@TEST_TIMEOUT=1800 sh tests/run script:tests/mutants/mutants.sh

$(B)/static/talk: tests/interop/talk.c
	@mkdir -p $(@D)
	$(Q)gcc $(CSTD) $(WARN) -O2 -D_GNU_SOURCE -static -o $@ $<

$(B)/pcapcmp: tests/interop/pcapcmp.c
	@mkdir -p $(@D)
	$(Q)gcc $(CSTD) $(WARN) -O2 -o $@ $<

## make test-interop    Debian's Linux and iPXE in QEMU, with an e1000, against our bridge
.PHONY: test-interop
test-interop: all $(B)/static/talk $(B)/pcapcmp $(STOCK)/vmlinuz | $(DEPS_STOCK)
	@sh tests/run script:tests/interop/interop.sh
