# SPDX-License-Identifier: BSD-2-Clause
# Exploring schedules: tests/explore, and the hashes that runs on another KVM must have, too.

## make explore         planted bugs are found, healthy machines are healthy (under a minute)
.PHONY: explore explore-nightly
explore: all
	@sh tests/run script:tests/explore/planted.sh

## make explore-nightly the same, with 1,000 ordinary runs of each bug and 1,000 seeds twice
explore-nightly: all
	@EXPLORE_HEALTHY=2000 EXPLORE_ORDINARY=1000 SEEDS=1000 TEST_TIMEOUT=36000 \
		sh tests/run script:tests/explore/planted.sh script:tests/system/seed.sh

# What test-stock compares with: the hashes of this host's KVM, of the guests as they are now.
# Without /dev/kvm it is empty, and every seed is run twice instead.
SEED_HASHES := $(B)/seed-hashes

## make seed-hashes     the trace hashes of a few seeds, as this host's KVM has them
.PHONY: seed-hashes
seed-hashes: $(SEED_HASHES)

$(SEED_HASHES): $(B)/sempervm $(GUEST_BINS) demos/multi-4.ini demos/run-kernel.ini
	$(Q)for m in multi-4 run-kernel; do for s in 1 2 3 4 5; do \
		[ ! -e /dev/kvm ] || $(B)/sempervm run --seed $$s demos/$$m.ini | \
			sed -n "s/^trace hash /$$m $$s /p"; \
	done; done >$@
