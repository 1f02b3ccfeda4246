# SPDX-License-Identifier: BSD-2-Clause
# The benchmarks: build/bench runs every case beside its baseline and writes build/bench.json.

BENCH_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/bench/*.c))

$(GUEST_B)/trapbench: $(GUEST_B)/obj/apps/trapbench/trapbench.o
	$(Q)$(GUESTLD) -Wl,-Ttext=0x200000 -o $@ $<

$(B)/bench: $(BENCH_OBJ) $(filter-out $(B)/vmm/main.o,$(VMM_OBJ)) $(B)/libvdtu.a $(B)/libnetdev.a
	$(Q)$(HOSTCC) -o $@ $^ $(HOST_LIBS) -lm

# Also what `make test` needs to run the smallest case.
BENCH_NEEDS = $(B)/bench $(GUEST_B)/trapbench

## make bench           ratios against baselines measured in the same run; build/bench.json
##                      (SEMPEROS=folder adds the original's programs; CASES="msg sys" runs
##                      those whose names begin so)
.PHONY: bench
bench: all $(BENCH_NEEDS)
	$(Q)$(B)/bench $(CASES)

## make bench-check     holds the last results against tests/bench/budgets
## make bench-report    renders them as a page that needs nothing else: build/bench.html
.PHONY: bench-check bench-report
bench-check: $(B)/bench
	@$(B)/bench --check
bench-report: $(B)/bench
	@$(B)/bench --report && echo "bench-report: $(B)/bench.html"

-include $(BENCH_OBJ:.o=.d)
