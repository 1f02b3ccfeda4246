# SPDX-License-Identifier: BSD-2-Clause
# The host tool for file-system images, which shares guest/fs with the service, and a demo image.

FS_SRC := $(wildcard tools/*.c guest/fs/*.c)
FS_OBJ := $(FS_SRC:%.c=$(B)/fs/%.o)

ALL += $(B)/semperfs

$(B)/fs/%.o: %.c | $(DEPS_BASE)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -iquote include -iquote guest/lib -c -o $@ $<

$(B)/semperfs: $(FS_OBJ)
	$(Q)$(HOSTCC) -o $@ $(FS_OBJ)

-include $(FS_OBJ:.o=.d)
