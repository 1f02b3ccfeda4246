# SPDX-License-Identifier: BSD-2-Clause
#
# The Debian packages that things need, installed on first use (mk/deps.sh).  A stamp in build/
# remembers that a group was there, so that later runs ask nobody.
#
#   base   to build: included below, so it is there before anything compiles
#   spin   models
#   test   unit tests, fuzzers, format check
#   stock  the machine under QEMU (tests/stock/)
#   browser  what CI looks at the page of results with

DEPS_BASE_PKGS  := gcc libc6-dev binutils libinih-dev libsodium-dev
DEPS_TEST_PKGS  := check libsubunit-dev clang clang-format libclang-rt-14-dev git
DEPS_SPIN_PKGS  := spin
DEPS_BROWSER_PKGS := chromium
DEPS_STOCK_PKGS := qemu-system-x86 busybox-static cpio ipxe-qemu

DEPS_BASE  := $(B)/deps-base.mk
DEPS_TEST  := $(B)/deps-test.stamp
DEPS_SPIN  := $(B)/deps-spin.stamp
DEPS_STOCK := $(B)/deps-stock.stamp

$(DEPS_BASE): mk/deps.mk mk/deps.sh
	@sh mk/deps.sh build $(DEPS_BASE_PKGS)
	@mkdir -p $(@D) && touch $@

$(DEPS_TEST): mk/deps.mk mk/deps.sh
	@sh mk/deps.sh tests $(DEPS_TEST_PKGS)
	@mkdir -p $(@D) && touch $@

$(DEPS_SPIN): mk/deps.mk mk/deps.sh
	@sh mk/deps.sh models $(DEPS_SPIN_PKGS)
	@mkdir -p $(@D) && touch $@

$(DEPS_STOCK): mk/deps.mk mk/deps.sh
	@sh mk/deps.sh 'machine under QEMU' $(DEPS_STOCK_PKGS)
	@mkdir -p $(@D) && touch $@

# Remaking an included file comes before everything else.
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),all)),)
include $(DEPS_BASE)
endif

# How to run a machine: on /dev/kvm, or where there is none in the machine under QEMU
# (tests/stock/), which says so.  KVM=no asks for the latter.  A target that runs $(SEMPERVM)
# depends on $(SEMPERVM_NEEDS).
KVM ?= $(if $(wildcard /dev/kvm),yes,no)
ifeq ($(KVM),yes)
SEMPERVM       := $(B)/sempervm
SEMPERVM_NEEDS := all
else
SEMPERVM       := sh tests/stock/run.sh build/sempervm
SEMPERVM_NEEDS := all stock-image
endif
