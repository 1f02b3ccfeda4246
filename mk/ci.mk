# SPDX-License-Identifier: BSD-2-Clause
# All that .ci/run's targets need, so that they can run side by side without building anything.

.PHONY: ci-build
ci-build: all bridge format-deps $(UNIT) $(REPLAY) $(NET_TEST) $(TSAN) $(FUZZ:%=$(B)/fuzz/%) \
		$(B)/address/sempervm $(B)/address/guest $(B)/thread/sempervm $(B)/thread/guest \
		$(FRAMEPEER) $(BENCH_NEEDS) $(LOSSY) $(NEIGHBOUR) $(SEMPERVM_NEEDS) $(B)/qtest $(B)/static/talk \
		$(B)/pcapcmp $(BARE) stock-image browser

.PHONY: format-deps
format-deps: $(DEPS_TEST)

# A test looks at the page of results in a browser; without one it says SKIP.
.PHONY: browser
browser: $(DEPS_BASE)
	-@sh mk/deps.sh 'page of results in a browser' $(DEPS_BROWSER_PKGS)
