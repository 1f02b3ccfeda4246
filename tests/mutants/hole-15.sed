# netdev/tx.c test_e1000_holes hole_15
# A failed access is not noticed.
/^static void gather/,/^}/s/if (nd_dma_read(n, addr, p->data + p->size, part)) {/if (nd_dma_read(n, addr, p->data + p->size, part) > 0) {/
