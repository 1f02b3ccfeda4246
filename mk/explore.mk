# SPDX-License-Identifier: BSD-2-Clause
# Exploring schedules: tests/explore, and the hashes that runs on another KVM must have, too.

## make explore         planted bugs are found, healthy machines are healthy (under a minute)
.PHONY: explore explore-nightly
explore: all
	@FOREST_SEEDS=5 sh tests/run script:tests/explore/planted.sh script:tests/explore/dual.sh \
		script:tests/explore/forest.sh

## make explore-dual    two nodes over a bad wire, crashes included, SEEDS=1..10000 (JOBS=1), goes on
##                      where it was; build/explore-dual
.PHONY: explore-dual
explore-dual: all bridge
	@DUAL_SEEDS=$(or $(SEEDS),1..10000) DUAL_JOBS=$(or $(JOBS),1) DUAL_DIR=$(B)/explore-dual \
		TEST_TIMEOUT=200000 sh tests/run script:tests/explore/dual.sh

## make explore-forest  forests of capabilities on whole machines, programs and nodes dying, SEEDS=1..100
##                      of each of the seven kinds (JOBS=1), goes on where it was; build/explore-forest
.PHONY: explore-forest
explore-forest: all bridge
	@FOREST_SEEDS=$(or $(SEEDS),1..100) FOREST_JOBS=$(or $(JOBS),1) FOREST_DIR=$(B)/explore-forest \
		TEST_TIMEOUT=200000 sh tests/run script:tests/explore/forest.sh

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
	$(Q)for ms in multi-4:1 multi-4:2 multi-4:3 multi-4:4 multi-4:5 run-kernel:1 run-kernel:2; do \
		m=$${ms%:*} s=$${ms#*:}; \
		[ ! -e /dev/kvm ] || $(B)/sempervm run --seed $$s demos/$$m.ini | \
			sed -n "s/^trace hash /$$m $$s /p"; \
	done >$@
