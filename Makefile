# SPDX-License-Identifier: BSD-2-Clause
# sempervm.  `make` builds all that needs no network; `make help` lists the targets.

CC ?= gcc
B := build
MAKEFLAGS += --no-builtin-rules
# Commands are shown with `make V=1` only.
Q := $(if $(V),,@)

CSTD    := -std=gnu11
WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
HOSTCC  := $(CC) $(CSTD) $(WARN) -O2 -g -D_GNU_SOURCE -pthread -MMD -MP $(CFLAGS)

.DEFAULT_GOAL := all
.PHONY: all help clean

include mk/deps.mk
include mk/host.mk
include mk/guest.mk
include mk/files.mk
include mk/test.mk
include mk/net.mk
include mk/bench.mk
include mk/explore.mk
include mk/ci.mk

all: $(ALL)

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make                 everything that needs no network
## make clean           remove build/
clean:
	rm -rf $(B)
