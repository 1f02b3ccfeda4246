# SPDX-License-Identifier: BSD-2-Clause
#
# Tests.  A unit test or fuzz target names the sources under test in a comment of its own:
#
#     /* LINK: vdtu vmm/elf.c */
#
# (a folder stands for its *.c); without it that is the folder its name begins with, as vdtu for
# test_vdtu_send.c.  Those are compiled with the test's flavour of sanitizers into build/<flavour>/ and linked to it.
# tests/run runs what is built and counts.

TEST_LIBS := -lcheck -lsubunit -lrt -lm -lpthread -linih -lsodium
TEST_CC    = $(CSTD) $(WARN) -D_GNU_SOURCE -pthread -g -O1 -fno-omit-frame-pointer -MMD -MP \
	-iquote include -iquote guest/lib

ASAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all
TSAN_FLAGS := -fsanitize=thread -Wno-tsan
FUZZ_FLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

# $(call links,FILE): the sources that FILE declares.
named = $(word 2,$(subst _, ,$(basename $(notdir $(1)))))
links = $(foreach l,$(or $(shell sed -n 's,^[/ ][/*]* LINK: *\([^*]*[a-z.]\).*,\1,p' $(1)),$(named)),\
	$(if $(filter %.c,$(l)),$(l),$(wildcard $(l)/*.c)))
# $(call objects,FLAVOUR,FILE): FILE and what it declares, as objects of that flavour.
objects = $(patsubst %.c,$(B)/$(1)/%.o,$(2) $(call links,$(2)))

$(B)/asan/%.o: %.c | $(DEPS_TEST)
	@mkdir -p $(@D)
	$(Q)gcc $(TEST_CC) $(ASAN_FLAGS) -c -o $@ $<

$(B)/tsan/%.o: %.c | $(DEPS_TEST)
	@mkdir -p $(@D)
	$(Q)gcc $(TEST_CC) $(TSAN_FLAGS) -c -o $@ $<

$(B)/fast/%.o: %.c | $(DEPS_TEST)
	@mkdir -p $(@D)
	$(Q)gcc $(TEST_CC) -O2 -c -o $@ $<

# clang's -Wextra asks for more than gcc's; gcc's are the rule here.
$(B)/clang/%.o: %.c | $(DEPS_TEST)
	@mkdir -p $(@D)
	$(Q)clang $(filter-out -Werror,$(TEST_CC)) $(FUZZ_FLAGS) -c -o $@ $<

# ---- unit tests ------------------------------------------------------------------------------

UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT += $(if $(wildcard $(LWIP_STAMP)),$(NET_TEST))
# Those that start threads, themselves or in what they link, run under ThreadSanitizer too.
TSAN := $(patsubst tests/unit/%.c,$(B)/unit-tsan/%,$(sort $(shell \
	grep -ls -e pthread_create -e 'TSAN:' $(wildcard tests/unit/test_*.c))))

.SECONDEXPANSION:
.SECONDARY:

$(B)/unit/%: $$(call objects,asan,tests/unit/$$*.c)
	@mkdir -p $(@D)
	$(Q)gcc $(ASAN_FLAGS) -o $@ $^ $(TEST_LIBS)

$(B)/unit-tsan/%: $$(call objects,tsan,tests/unit/$$*.c)
	@mkdir -p $(@D)
	$(Q)gcc $(TSAN_FLAGS) -o $@ $^ $(TEST_LIBS)

## make test-unit       unit tests under ASan and UBSan
.PHONY: test-unit
test-unit: $(UNIT)
	@sh tests/run $(UNIT:%=unit:%)

## make test-calls      which system calls and kernel calls the kernel's unit tests send
.PHONY: test-calls
test-calls: $(filter $(B)/unit/test_kernel_%,$(UNIT))
	@sh tests/run script:tests/calls.sh

# The capability oracle without sanitizers: many more forests than the unit test has.
$(B)/oracle: $$(call objects,fast,tests/unit/test_kernel_oracle.c)
	@mkdir -p $(@D)
	$(Q)gcc -o $@ $^ $(TEST_LIBS)
	$(Q)rm -f $(B)/oracle.done

## make oracle          SEEDS=1..10000 forests of capabilities against the model; goes on where it was stopped
.PHONY: oracle
oracle: $(B)/oracle
	@ORACLE_SEEDS=$(or $(SEEDS),1..10000) ORACLE_DONE=$(B)/oracle.done $(B)/oracle

# gcc 12's ThreadSanitizer cannot start where the kernel spreads mappings widely, hence setarch;
# and it does not follow threads over the fork() that Check does by default.
NO_ASLR = $(shell setarch -R true 2>/dev/null && echo setarch -R)

## make test-tsan       the concurrent unit tests, and a whole machine, under ThreadSanitizer
.PHONY: test-tsan
test-tsan: $(TSAN) $(FRAMEPEER) $(B)/thread/sempervm $(B)/thread/guest all
	@CK_FORK=no TSAN_OPTIONS=halt_on_error=1 SEMPERVM=$(B)/thread/sempervm $(NO_ASLR) \
		sh tests/run $(TSAN:%=unit:%) $(MACHINES:%=script:tests/system/%.sh)

# The scripts that run healthy machines; under a sanitizer they are about the VMM's own threads.
MACHINES := run-kernel multi nic hosts caps

# ---- fuzzing ---------------------------------------------------------------------------------

FUZZ         := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
REPLAY       := $(FUZZ:%=$(B)/replay/%)
FUZZ_SECONDS ?= 60

$(B)/replay/%: $$(call objects,asan,tests/fuzz/$$*.c) $(B)/asan/tests/fuzz/replay.o
	@mkdir -p $(@D)
	$(Q)gcc $(ASAN_FLAGS) -o $@ $^ -linih -lsodium -lpthread

$(B)/fuzz/%: $$(call objects,clang,tests/fuzz/$$*.c)
	@mkdir -p $(@D)
	$(Q)clang -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $^ -linih -lsodium -lpthread

## make fuzz            each fuzz target for FUZZ_SECONDS (60), FUZZ_SEED (1; 0: new inputs); findings go to build/fuzz/
.PHONY: fuzz
fuzz: $(FUZZ:%=$(B)/fuzz/%)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) TEST_TIMEOUT=$$(($(FUZZ_SECONDS) + 120)) \
		sh tests/run $(FUZZ:%=fuzz:$(B)/fuzz/%)

## make test-fuzz-corpus  replay of the stored inputs, crashers among them
.PHONY: test-fuzz-corpus
test-fuzz-corpus: $(REPLAY)
	@sh tests/run $(REPLAY:%=replay:%)

# ---- models ----------------------------------------------------------------------------------

## make test-spin       models of the rings' protocols, and that they can fail
.PHONY: test-spin
test-spin: $(DEPS_SPIN)
	@sh tests/run script:tests/spin/run.sh

# ---- whole machines --------------------------------------------------------------------------

SYSTEM := $(sort $(wildcard tests/system/*.sh))

# Where there is no /dev/kvm the machine under QEMU stands in for it.
SYSTEM_ITEMS := $(if $(filter yes,$(KVM)),$(SYSTEM:%=script:%),script:tests/stock/system.sh)

## make test-system     whole machines on /dev/kvm
.PHONY: test-system
test-system: $(SEMPERVM_NEEDS) $(FRAMEPEER)
	@sh tests/run $(SYSTEM_ITEMS)

## make test-asan       whole machines with a sempervm under ASan and UBSan
.PHONY: test-asan
test-asan: all $(FRAMEPEER) $(B)/address/sempervm $(B)/address/guest
	@SEMPERVM=$(B)/address/sempervm SEEDS=1 sh tests/run $(SYSTEM_SANITIZED:%=script:%)
# The README's commands name the program as built for users; bad networks take long enough without.
SYSTEM_SANITIZED = $(filter-out tests/system/readme.sh tests/system/link.sh,$(SYSTEM))

# sempervm looks for its programs next to itself.
$(B)/thread/guest $(B)/address/guest:
	@mkdir -p $(@D)
	@ln -sfn ../guest $@

# The other end of a NIC in tests/system.
FRAMEPEER := $(B)/framepeer

$(B)/framepeer $(B)/static/framepeer: tests/net/framepeer.c
	@mkdir -p $(@D)
	$(Q)gcc $(CSTD) $(WARN) -D_GNU_SOURCE -O2 -static -o $@ $<

STOCK       := $(B)/stock
STOCK_IMAGE := $(STOCK)/image.cpio
STOCK_FILES = $(wildcard Makefile README.md mk demos tests/system tests/net tests/lib.sh tests/run) \
	$(B)/static/sempervm $(B)/static/probe $(B)/static/framepeer $(LOSSY) $(NEIGHBOUR) $(GUEST_BINS) \
	$(B)/seed-hashes $(B)/static/semperfs $(FILES_IMG)

$(B)/static/probe: tests/stock/probe.c
	@mkdir -p $(@D)
	$(Q)gcc $(CSTD) $(WARN) -O2 -static -o $@ $<

$(STOCK)/vmlinuz: tests/stock/kernel.sh | $(DEPS_STOCK)
	@sh tests/stock/kernel.sh $(STOCK)
	@touch $@

$(STOCK_IMAGE): tests/stock/image.sh tests/stock/init $(STOCK)/vmlinuz $(B)/static/sempervm \
		$(B)/static/semperfs $(FILES_IMG) $(B)/static/probe $(B)/static/framepeer $(LOSSY) $(NEIGHBOUR) \
		$(GUEST_BINS) $(B)/seed-hashes $(SYSTEM) tests/lib.sh tests/run README.md \
		$(wildcard mk/*.mk demos/* tests/net/*) | $(DEPS_STOCK)
	@sh tests/stock/image.sh $@ $(STOCK) $(STOCK_FILES)

## make stock-image     the machine under QEMU that tests/stock/run.sh boots
.PHONY: stock-image
stock-image: $(STOCK_IMAGE)

## make test-stock      the system tests on Debian's kernel and kvm_amd, under QEMU
.PHONY: test-stock
test-stock: stock-image
	@TEST_TIMEOUT=2200 sh tests/run script:tests/stock/system.sh

## make test-dual-stock two of those machines, a node in each, joined by their e1000s
.PHONY: test-dual-stock
test-dual-stock: stock-image bridge
	@TEST_TIMEOUT=4000 sh tests/run script:tests/stock/dual.sh

## make test-semperos   the original SemperOS; SEMPEROS=folder of a built checkout
.PHONY: test-semperos
test-semperos: all
	@sh tests/run $(SEMPEROS_ITEMS)

SEMPEROS_ITEMS := $(patsubst %,script:tests/%.sh,semperos semperos-files semperos-programs)

## make test-kill       kill -9 of a node in the middle of exchanges with another, COUNT (100) times
.PHONY: test-kill
test-kill: $(SEMPERVM_NEEDS)
	@COUNT=$(or $(COUNT),100) TEST_TIMEOUT=$$(($(or $(COUNT),100) * 60 + 600)) \
		sh tests/run script:tests/kill.sh

# ---- all together ----------------------------------------------------------------------------

## make format-check    clang-format, file and function lengths, heads
.PHONY: format-check
format-check: $(DEPS_TEST)
	@sh tests/run script:tests/format.sh

TEST_ITEMS = $(UNIT:%=unit:%) script:tests/calls.sh $(REPLAY:%=replay:%) script:tests/format.sh \
	$(SYSTEM_ITEMS) $(if $(filter yes,$(KVM)),script:tests/kill.sh) $(SEMPEROS_ITEMS) \
	script:tests/qtest/qtest.sh script:tests/bench/suite.sh

## make test            unit tests, stored fuzz inputs, system tests, format
.PHONY: test
test: $(UNIT) $(REPLAY) $(SEMPERVM_NEEDS) $(FRAMEPEER) $(B)/qtest $$(BENCH_NEEDS)
	@sh tests/run $(TEST_ITEMS)

-include $(wildcard $(B)/fast/*/*.d $(B)/fast/*/*/*.d $(B)/asan/*/*.d $(B)/asan/*/*/*.d $(B)/tsan/*/*.d $(B)/tsan/*/*/*.d \
	$(B)/clang/*/*.d $(B)/clang/*/*/*.d)
