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

# For machines without our libraries.
$(B)/static/semperfs: $(FS_OBJ)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -static -o $@ $(FS_OBJ)

-include $(FS_OBJ:.o=.d)

# ---- the demo's image ------------------------------------------------------------------------

FILES_BIN  := cat echo ls wc filesum pattern hello shell
FILES_IMG  := $(B)/files.img
FILES_TREE := $(B)/files.tree

$(FILES_IMG): $(B)/semperfs $(FILES_BIN:%=$(B)/guest/%) $(shell find demos/files -type f)
	@rm -rf $(FILES_TREE)
	@mkdir -p $(FILES_TREE)/bin
	@cp -R demos/files/. $(FILES_TREE)
	@chmod -R u=rwX,go=rX $(FILES_TREE)
	$(Q)for p in $(FILES_BIN); do \
		objcopy --strip-all $(B)/guest/$$p $(FILES_TREE)/bin/$$p && chmod 755 $(FILES_TREE)/bin/$$p || exit 1; \
	done
	$(Q)awk 'BEGIN { for (i = 1; i <= 20000; i++) print i, i * i % 9973 }' >$(FILES_TREE)/data/numbers.txt
	$(Q)$(B)/semperfs make $@ $(FILES_TREE) 8M

ALL += $(FILES_IMG)

## make files           a file system, a shell that runs programs from it, pipes
.PHONY: files
files: $(SEMPERVM_NEEDS) $(FILES_IMG)
	@$(SEMPERVM) run demos/files.ini
