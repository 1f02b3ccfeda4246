# SPDX-License-Identifier: BSD-2-Clause
# The host side: the libraries vdtu and netdev, and the program sempervm.

HOST_LIBS := -linih -lsodium
VDTU_SRC  := $(wildcard vdtu/*.c)
NETDEV_SRC := $(wildcard netdev/*.c)
VMM_SRC   := $(wildcard vmm/*.c)

VDTU_OBJ  := $(VDTU_SRC:%.c=$(B)/%.o)
NETDEV_OBJ := $(NETDEV_SRC:%.c=$(B)/%.o)
VMM_OBJ   := $(VMM_SRC:%.c=$(B)/%.o)

ALL += $(B)/sempervm $(B)/libnetdev.a

$(B)/%.o: %.c | $(DEPS_BASE)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -c -o $@ $<

$(B)/libvdtu.a: $(VDTU_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/libnetdev.a: $(NETDEV_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/sempervm: $(VMM_OBJ) $(B)/libvdtu.a $(B)/libnetdev.a
	$(Q)$(HOSTCC) -o $@ $(VMM_OBJ) $(B)/libvdtu.a $(B)/libnetdev.a $(HOST_LIBS)

# For machines without our libraries: an initramfs under QEMU.
$(B)/static/sempervm: $(VMM_OBJ) $(B)/libvdtu.a $(B)/libnetdev.a
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -static -o $@ $(VMM_OBJ) $(B)/libvdtu.a $(B)/libnetdev.a $(HOST_LIBS)

# The same under ThreadSanitizer and AddressSanitizer, for system tests of the VMM's own threads.
# -Wno-tsan: it does not follow fences; ours order stores for guests, whom it does not see either.
SAN_thread  := -fsanitize=thread -Wno-tsan
SAN_address := -fsanitize=address,undefined -fno-sanitize-recover=all
$(B)/thread/sempervm $(B)/address/sempervm: $(B)/%/sempervm: $(VMM_SRC) $(VDTU_SRC) $(NETDEV_SRC) | $(DEPS_BASE)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(WARN) -O1 -g -D_GNU_SOURCE -pthread $(SAN_$*) -o $@ \
		$(VMM_SRC) $(VDTU_SRC) $(NETDEV_SRC) $(HOST_LIBS)

-include $(VMM_OBJ:.o=.d) $(VDTU_OBJ:.o=.d) $(NETDEV_OBJ:.o=.d)
