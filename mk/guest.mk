# SPDX-License-Identifier: BSD-2-Clause
# Programs for PEs: freestanding C, one link address each, like the original's (semperos-platform 3).
#
# GUEST_PROGS: name:slot:folder.  A program is all *.c of its folder (or folder.c) and guest/lib's
# library, linked at 0x200000 + slot * 0x10000.  idle stands apart: it lives at 0x1000 and has no
# library.  A program whose sources do not exist is left out.
GUEST_PROGS := \
    kernel:0:guest/kernel \
    hello:16:guest/apps/hello \
    forever:16:guest/apps/forever \
    selftest:20:guest/apps/selftest \
    multi:24:guest/apps/multi \
    attack:28:guest/apps/attack \
    secret:32:guest/apps/secret \
    planted:36:guest/apps/planted \
    srvtest:40:guest/apps/srvtest \
    capserver:44:guest/apps/capserver \
    capclient:48:guest/apps/capclient \
    nictest:52:guest/apps/nictest \
    linktest:60:guest/apps/linktest \
    hosttest:64:guest/apps/hosttest \
    linkhost:64:guest/apps/linkhost \
    hostpair:64:guest/apps/hostpair \
    m3fs:52:guest/apps/m3fs \
    shell:56:guest/apps/shell \
    cat:60:guest/apps/cat \
    echo:60:guest/apps/echo \
    ls:60:guest/apps/ls \
    wc:60:guest/apps/wc \
    filesum:60:guest/apps/filesum \
    pattern:60:guest/apps/pattern \
    filetest:64:guest/apps/filetest \
    captree:68:guest/apps/captree \
    capforest:68:guest/apps/capforest \
    capchain:72:guest/apps/capchain \
    ringbench:64:guest/apps/ringbench \
    kernbench:72:guest/apps/kernbench \
    netbench:68:guest/apps/netbench \
    ringattack:72:guest/apps/ringattack \
    maptest:64:guest/apps/maptest \
    mapbench:68:guest/apps/mapbench \
    msgbench:64:guest/apps/msgbench \
    ringstress:76:guest/apps/ringstress \
    fanin:80:guest/apps/fanin

# Programs for bare PEs (vmm/bare.h) run at CPL 0, where not every host's KVM has SSE.
BARE_PROGS := irqtest

GUEST_B   := $(B)/guest
GUEST_INC := -Iinclude -Iguest/lib
GUESTCC   := $(CC) $(CSTD) $(WARN) -O2 -g -ffreestanding -fno-pic -mcmodel=small -m64 \
             -fno-stack-protector -fstack-clash-protection -fno-asynchronous-unwind-tables -fcf-protection=none \
             -fno-tree-loop-distribute-patterns -mno-avx -mno-80387 -MMD -MP $(GUEST_INC)
GUESTLD   := $(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
             -Wl,-z,noexecstack

guest_word = $(word $2,$(subst :, ,$1))
guest_src  = $(wildcard $(call guest_word,$1,3)/*.c $(call guest_word,$1,3).c)
guest_obj  = $(patsubst guest/%.c,$(GUEST_B)/obj/%.o,$(call guest_src,$1))
GUEST_HAVE := $(foreach p,$(GUEST_PROGS),$(if $(call guest_src,$p),$p))

GUEST_LIB      := $(GUEST_B)/libguest.a
GUEST_LIB_OBJS := $(patsubst guest/%.c,$(GUEST_B)/obj/%.o,$(wildcard guest/lib/*.c guest/fs/*.c) guest/kernel/elf.c)
GUEST_BINS     := $(foreach p,$(GUEST_HAVE),$(GUEST_B)/$(call guest_word,$p,1))
GUEST_BINS     += $(BARE_PROGS:%=$(GUEST_B)/%)
GUEST_BINS     += $(if $(wildcard guest/apps/idle/idle.S),$(GUEST_B)/idle)

include mk/lwip.mk

## make guests          the programs for PEs (build/guest)
.PHONY: guests
guests: $(GUEST_BINS)
ALL += guests

$(GUEST_B)/obj/%.o: guest/%.c
	@mkdir -p $(@D)
	$(Q)$(GUESTCC) -c -o $@ $<

$(GUEST_B)/obj/%.o: guest/%.S
	@mkdir -p $(@D)
	$(Q)$(GUESTCC) -c -o $@ $<

$(GUEST_LIB): $(GUEST_LIB_OBJS)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

define guest_rule
$(GUEST_B)/$(call guest_word,$1,1): $(call guest_obj,$1) $(GUEST_B)/obj/lib/crt.o $(GUEST_LIB) guest/lib/link.ld
	$(Q)$(GUESTLD) -T guest/lib/link.ld \
	    -Wl,--defsym=link_base=$$$$(printf '0x%x' $$$$((0x200000 + $(call guest_word,$1,2) * 0x10000))) \
	    -o $$@ $(call guest_obj,$1) $(GUEST_B)/obj/lib/crt.o $(GUEST_LIB)
endef
$(foreach p,$(GUEST_HAVE),$(eval $(call guest_rule,$p)))

# Programs for bare PEs: without SSE, and their library, too.
BARE_LIB_OBJS := $(patsubst guest/%.c,$(GUEST_B)/bare/%.o,\
    $(filter-out guest/lib/map_gate.c,$(wildcard guest/lib/*.c)))
bare_obj = $(addprefix $(GUEST_B)/bare/,$(addsuffix .o,$(basename $(patsubst guest/%,%,$(wildcard guest/apps/$1/*.[cS])))))

$(GUEST_B)/bare/%.o: guest/%.c
	@mkdir -p $(@D)
	$(Q)$(GUESTCC) -mgeneral-regs-only -c -o $@ $<

$(GUEST_B)/bare/%.o: guest/%.S
	@mkdir -p $(@D)
	$(Q)$(GUESTCC) -c -o $@ $<

$(GUEST_B)/bare/libguest.a: $(BARE_LIB_OBJS)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

define bare_rule
$(GUEST_B)/$1: $(call bare_obj,$1) $(GUEST_B)/obj/lib/crt.o $(GUEST_B)/bare/libguest.a guest/lib/link.ld
	$(Q)$(GUESTLD) -T guest/lib/link.ld -Wl,--defsym=link_base=0x200000 \
	    -o $$@ $(call bare_obj,$1) $(GUEST_B)/obj/lib/crt.o $(GUEST_B)/bare/libguest.a
endef
$(foreach p,$(BARE_PROGS),$(eval $(call bare_rule,$p)))

-include $(BARE_LIB_OBJS:%.o=%.d) $(patsubst %.o,%.d,$(foreach p,$(BARE_PROGS),$(call bare_obj,$p)))

$(GUEST_B)/idle: $(GUEST_B)/obj/apps/idle/idle.o guest/apps/idle/idle.ld
	$(Q)$(GUESTLD) -T guest/apps/idle/idle.ld -o $@ $<

-include $(patsubst %.o,%.d,$(GUEST_LIB_OBJS) $(foreach p,$(GUEST_HAVE),$(call guest_obj,$p)))

# ---- demos -----------------------------------------------------------------------------------

N ?= 64

## make run-kernel      a kernel and two VPEs: system calls, capabilities, memory gates
## make services        sessions with services, capabilities over them, revocation
## make multi-2 multi-4 that many PEs, each sending to and receiving from every other
.PHONY: run-kernel services multi-2 multi-4 run-N
run-kernel services multi-2 multi-4: %: $(SEMPERVM_NEEDS) demos/%.ini
	@$(SEMPERVM) run demos/$@.ini

# Each node is a sempervm of its own; where there is no KVM all of them run in one machine under QEMU.
HOSTS := $(if $(filter yes,$(KVM)),sh demos/hosts.sh,sh tests/stock/run.sh sh demos/hosts.sh)

## make dual-host       two nodes over the network: every kind of packet and every error, both ways
##                      (PEER=address, NODE=0 or 1: our node only, the other one is on that machine)
## make triple-host     three nodes, all pairs (PEER="1=address 2=address", NODE=0)
.PHONY: dual-host triple-host
dual-host triple-host: %-host: $(SEMPERVM_NEEDS) bridge demos/%-host.ini demos/%-kernels.ini
	@$(HOSTS) demos/$*-host.ini
	@$(HOSTS) demos/$*-kernels.ini

## make run-N N=64      the same with 2 to 64 PEs
run-N: $(SEMPERVM_NEEDS)
	@$(SEMPERVM) run --pes=$$(($(N) + 1)) --timeout=600 --prefix --report=pairs,exits \
		-- kernel multi $(N)
