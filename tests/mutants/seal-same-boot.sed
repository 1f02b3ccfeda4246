# netdev/seal.c test_backend_seal same_boot
# The window begins anew with every proof.
s/if (h->epoch != p->epoch) {/if (h->epoch) {/
